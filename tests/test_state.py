"""The state: what each event makes true, that nothing changes in place, and what two histories have in common."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from freezelint.trace import events as ev
from freezelint.trace.regions import Part
from freezelint.trace.state import FORWARDS_KEPT, Fact, State, find, joined, told
from freezelint.trace.tri import NO, UNSURE, YES
from histories import (
    after,
    at,
    backward,
    create,
    evaluate,
    forward,
    freeze,
    leave,
    net,
    no_grad,
    optimizer,
    step,
    train,
    unfreeze,
    whole,
)


def value(state: State, name: str, part: Part) -> Any:
    fact = find(getattr(state, name), part)
    return fact.value if fact else None


# Facts ----------------------------------------------------------------------------------------------------------------


def test_a_fact_about_the_whole_holds_below_until_something_below_is_told_otherwise() -> None:
    root = net()
    [head] = root.at("head")
    froze, woke = freeze(whole(root)), unfreeze(whole(head))
    facts = told({}, whole(root), Fact(NO, froze))
    assert find(facts, head) == Fact(NO, froze)
    facts = told(facts, whole(head), Fact(YES, woke))
    found = find(facts, head)
    assert found is not None and (found.value, found.was, found.former) == (YES, NO, froze)
    assert value(after(froze, woke), "grad", root.children[1]) is NO
    assert find({}, head) is None


def test_a_fact_about_the_whole_covers_what_was_said_below_and_remembers_it() -> None:
    root = net()
    [head] = root.at("head")
    woke, froze = unfreeze(whole(head)), freeze(whole(root))
    facts = told(told({}, whole(head), Fact(YES, woke)), whole(root), Fact(NO, froze))
    found = find(facts, head)
    assert found is not None and (found.value, found.was, found.former) == (NO, YES, woke)
    again = told(facts, whole(root), Fact(NO, freeze(whole(root))))
    assert set(again) == {root}, "what says the same as the whole is dropped"


def test_facts_hold_for_what_a_part_splits_into_later() -> None:
    root = net()
    state = after(create(whole(root)), freeze(whole(root)))
    [conv] = root.at("body.conv")
    assert value(state, "grad", conv) is NO


def test_equal_facts_may_have_different_evidence() -> None:
    root = net()
    assert after(freeze(whole(root), "here")) == after(freeze(whole(root), "there"))
    assert after(freeze(whole(root))) != after(unfreeze(whole(root)))


def test_nothing_is_changed_in_place() -> None:
    root = net()
    first = after(create(whole(root)))
    second = first.apply(freeze(whole(root)))
    assert value(first, "grad", root) is YES and value(second, "grad", root) is NO
    assert (first.clock, second.clock) == (1, 2)
    with pytest.raises(FrozenInstanceError):
        first.clock = 7  # type: ignore[misc]


# Each event -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pretrained, weights", [(YES, "pretrained"), (NO, "random"), (UNSURE, "unsure")])
def test_a_new_module_is_trainable_and_in_train_mode(pretrained: Any, weights: str) -> None:
    root = net()
    state = after(create(whole(root), pretrained))
    assert (value(state, "grad", root), value(state, "mode", root)) == (YES, YES)
    assert value(state, "weights", root) == weights


def test_loading_replacing_wrapping_clipping() -> None:
    root, new = net(), Part("new")
    load = ev.LoadWeights(site="load", region=at(root, "body"))
    change = ev.ReplaceSubmodule(site="replace", owner=whole(root), name="head", old=at(root, "head"), new=whole(new))
    wrap = ev.Wrap(site="wrap", region=whole(root), kind="DataParallel")
    clip = ev.ClipGradients(site="clip", region=whole(root))
    state = after(create(whole(root), NO), load, change, wrap, clip)
    [body], [head] = root.at("body"), root.at("head")
    assert (value(state, "weights", body), value(state, "weights", head)) == ("loaded", "random")
    assert value(state, "joined", new) and value(state, "left", head) and not value(state, "left", body)
    assert value(state, "wrapped", head) == ("DataParallel",) and value(state, "clipped", head)
    assert state.last[ev.Wrap] is wrap


def test_a_replaced_train_method_is_pinned() -> None:
    root = net()
    pinned = ev.WroteAttribute(site="x", target="module", name="train", value="lambda: None", region=at(root, "body"))
    other = ev.WroteAttribute(site="x", target="parameter", name="tag", value="1", region=whole(root))
    state = after(pinned, other)
    assert value(state, "pinned", root.at("body")[0]) and not value(state, "pinned", root.at("head")[0])


def test_modes_and_grad_modes() -> None:
    root = net()
    state = after(create(whole(root)), evaluate(at(root, "body")))
    assert (value(state, "mode", root.at("body")[0]), value(state, "mode", root.at("head")[0])) == (NO, YES)
    assert value(after(train(whole(root)), state=state), "mode", root.at("body")[0]) is YES

    assert State().is_recording() is YES and State().switched_off() is None
    outer = no_grad()
    inside = after(outer, no_grad())
    assert inside.is_recording() is NO and inside.switched_off() is outer, "leaving the inner one changes nothing"
    assert after(leave(), leave(), state=inside).is_recording() is YES
    enabled = ev.EnterGradMode(site="enable", enabled=YES, kind="enable_grad")
    assert after(enabled, state=inside).is_recording() is YES


def test_a_grad_mode_as_a_statement_takes_the_place_of_what_is_in_force() -> None:
    off = ev.EnterGradMode(site="off", enabled=NO, kind="set_grad_enabled", how="statement")
    on = ev.EnterGradMode(site="on", enabled=YES, kind="set_grad_enabled", how="statement")
    state = after(off, on)
    assert len(state.recording) == 1 and state.is_recording() is YES
    assert off.text == "torch.set_grad_enabled(False)" and no_grad().text == "torch.no_grad()"


def test_optimizers_hold_what_their_groups_held() -> None:
    root, other = net(), Part("other")
    state = after(create(whole(root)), optimizer(at(root, "head")))
    [held] = state.optimizers.values()
    [head], [body] = root.at("head"), root.at("body")
    assert (held.holds(head), held.holds(body), held.holds(other)) == (YES, NO, NO)
    [weight] = root.at("head.weight")
    assert held.holds(weight) is YES, "also what the group splits into later"

    added = ev.AddParamGroup(site="add", optimizer=1, region=at(root, "body"), complete=UNSURE)
    grown = after(added, state=state).optimizers[1]
    assert (grown.holds(body), grown.holds(other)) == (YES, UNSURE)
    unknown = ev.AddParamGroup(site="add", optimizer=7, region=at(root, "body"))
    assert after(unknown, state=state).optimizers == state.optimizers


def test_a_filter_over_flags_that_are_not_known() -> None:
    root = Part("model")
    held = after(optimizer(whole(root), filtered=True)).optimizers[1]
    assert held.holds(root) is UNSURE
    known = after(create(whole(root)), optimizer(whole(root), filtered=True)).optimizers[1]
    assert known.holds(root) is YES


def test_schedulers_and_steps() -> None:
    root = net()
    attach = ev.AttachScheduler(site="scheduler", optimizer=1, kind="StepLR")
    state = after(optimizer(whole(root)), attach, step())
    held = state.optimizers[1]
    assert held.schedulers[0].attached is attach and held.stepped is not None
    assert (state.began, state.step_at, len(state.steps)) == (2, 2, 1)
    later = after(*[step() for _ in range(9)], step(serial=5), state=state)
    assert later.began == 2 and len(later.steps) == 4 and later.step_at == later.clock - 1
    assert after(ev.AttachScheduler(site="x", optimizer=8, kind="StepLR")).optimizers == {}


def test_one_shot_iterators() -> None:
    take = ev.TakeParams(site="take", iterator=3, text="net.parameters()")
    first = ev.UseParams(site="first", iterator=3, by="an optimizer")
    state = after(take, first, ev.UseParams(site="second", iterator=3, by="a loop"))
    assert state.iterators[3].spent is first
    assert after(ev.UseParams(site="x", iterator=9, by="a loop")).iterators == {}


def test_zeroed_gradients_of_a_module() -> None:
    root = net()
    state = after(ev.ZeroGrad(site="zero", region=at(root, "body")), ev.ZeroGrad(site="zero", optimizer=1))
    assert value(state, "zeroed", root.at("body")[0]) is YES and not value(state, "zeroed", root.at("head")[0])


def test_what_escapes_is_forgotten() -> None:
    root = net()
    gone = ev.Escape(site="call", region=at(root, "body"), by="library.tune")
    state = after(create(whole(root)), freeze(whole(root)), gone)
    [body], [head] = root.at("body"), root.at("head")
    assert (value(state, "grad", body), value(state, "mode", body)) == (UNSURE, UNSURE)
    assert (value(state, "weights", body), value(state, "grad", head)) == ("unsure", NO)


def test_an_event_that_changes_nothing_is_remembered_as_the_last_of_its_kind() -> None:
    end = ev.End(site="end")
    state = after(end)
    assert state.last == {ev.End: end} and state == State()


# Forward and backward -------------------------------------------------------------------------------------------------


def test_a_backward_reaches_what_ran_and_requires_grad() -> None:
    root = net()
    state = after(create(whole(root)), freeze(at(root, "body")), forward(whole(root)), backward(1))
    [body], [head] = root.at("body"), root.at("head")
    assert value(state, "gradient", head) is YES and value(state, "gradient", body) is None
    assert value(state, "trained", head), "in train mode"


def test_a_forward_keeps_the_flags_and_modes_of_its_moment() -> None:
    root = net()
    state = after(create(whole(root)), freeze(whole(root)), forward(whole(root)), unfreeze(whole(root)), backward(1))
    assert value(state, "gradient", root) is None
    ran = state.passes[1]
    found = find(ran.grad, root)
    assert found is not None and found.value is NO and ran.recording is YES


def test_what_a_grad_mode_or_a_detach_cuts_off() -> None:
    body, head = Part("body"), Part("head")
    detach = ev.Cut("detach()", "detach")
    new = (create(whole(body)), create(whole(head)))
    by_call = after(*new, forward(whole(body)), forward(whole(head), 2), backward(ev.Use(1, detach), 2))
    assert value(by_call, "cut", body) is detach and value(by_call, "gradient", head) is YES

    off = no_grad()
    by_mode = after(*new, off, forward(whole(body)), leave(), forward(whole(head), 2), backward(1, 2))
    cut = value(by_mode, "cut", body)
    assert (cut.how, cut.site, cut.mode) == ("torch.no_grad()", "no_grad", off)
    assert value(by_mode, "gradient", body) is None


def test_a_backward_without_any_graph() -> None:
    root = net()
    state = after(create(whole(root)), no_grad(), forward(whole(root)), leave())
    event = backward(1)
    [(cut, ran)] = state.lost(event)
    assert cut.how == "torch.no_grad()" and ran.serial == 1
    assert state.apply(event).cut == {}, "it raises, and the fault is another"
    assert state.lost(backward(1, complete=UNSURE)) == [] and state.lost(backward(1, loose=True)) == []
    assert state.lost(backward(1, 99)) == [], "a forward that is not known any more"


def test_a_backward_of_who_knows_what() -> None:
    root = net()
    state = after(create(whole(root)), forward(whole(root)), backward(complete=UNSURE))
    assert value(state, "gradient", root) is UNSURE
    silent = after(create(whole(root)), no_grad(), forward(whole(root)), leave(), backward(complete=UNSURE))
    assert value(silent, "gradient", root) is None


def test_a_backward_that_was_measured() -> None:
    body, head = Part("body"), Part("head")
    state = after(
        create(whole(body, head)),
        no_grad(),
        forward(whole(body)),
        leave(),
        forward(whole(head), 2),
        backward(1, 2, reached=whole(head)),
    )
    assert (value(state, "gradient", head), value(state, "gradient", body)) == (YES, None)
    assert value(state, "cut", body).how == "torch.no_grad()" and value(state, "cut", head) is None
    assert value(state, "trained", head) and not value(state, "trained", body)


def test_only_so_many_forwards_are_kept() -> None:
    root = net()
    state = after(*[forward(whole(root), serial) for serial in range(FORWARDS_KEPT + 5)])
    assert list(state.passes) == list(range(5, FORWARDS_KEPT + 5))


# Joins ----------------------------------------------------------------------------------------------------------------


def test_what_two_histories_do_not_agree_on_is_unsure() -> None:
    root = net()
    before = after(create(whole(root), UNSURE))
    frozen = after(freeze(at(root, "body")), state=before)
    loaded = after(ev.LoadWeights(site="load", region=whole(root)), evaluate(at(root, "body")), state=before)
    for both in (joined(frozen, loaded), joined(loaded, frozen)):
        [body], [head] = root.at("body"), root.at("head")
        assert (value(both, "grad", body), value(both, "grad", head)) == (UNSURE, YES)
        assert (value(both, "mode", body), value(both, "mode", head)) == (UNSURE, YES)
        assert value(both, "weights", head) == "unsure"
    assert joined(before, before) == before
    assert joined(frozen, before).clock == frozen.clock


def test_a_gradient_in_one_of_two_histories_is_no_sure_one() -> None:
    root = net()
    ran = after(create(whole(root)), forward(whole(root)))
    reached = after(backward(1), state=ran)
    assert value(joined(reached, ran), "gradient", root) is UNSURE
    assert value(joined(ran, reached), "gradient", root) is UNSURE
    assert value(joined(reached, reached), "gradient", root) is YES


def test_what_happened_in_either_history_has_happened() -> None:
    root = net()
    gone = after(ev.Escape(site="call", region=at(root, "body"), by="f"))
    wrapped = after(ev.Wrap(site="wrap", region=whole(root), kind="DataParallel"))
    both = joined(gone, wrapped)
    assert value(both, "escaped", root.at("body")[0]) is UNSURE and value(both, "wrapped", root) == ("DataParallel",)


def test_optimizers_that_differ_may_hold_more_than_is_known() -> None:
    root = net()
    before = after(create(whole(root)))
    first = after(optimizer(at(root, "head")), state=before)
    second = after(optimizer(at(root, "head")), optimizer(at(root, "body"), serial=2), state=before)
    both = joined(first, second)
    assert both.optimizers[1].complete is YES, "built in both"
    assert both.optimizers[2].complete is UNSURE and both.optimizers[2].holds(root.at("head")[0]) is UNSURE
    other = after(optimizer(at(root, "body")), state=before)
    assert joined(first, other).optimizers[1].complete is UNSURE


def test_a_cut_in_one_history_only_is_none() -> None:
    body, head = Part("body"), Part("head")
    ran = after(create(whole(body, head)), forward(whole(body)), forward(whole(head), 2))
    cut = after(backward(ev.Use(1, ev.Cut("detach()", "x")), 2), state=ran)
    assert value(joined(cut, ran), "cut", body) is None
    assert value(joined(cut, cut), "cut", body) is not None
