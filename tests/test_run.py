"""The questions that rules ask, on hand-made histories."""

from __future__ import annotations

from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part
from freezelint.trace.run import Fault, Note, Run, called, cut_by, grouped, name, same_story
from freezelint.trace.show import show
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
    run,
    step,
    train,
    unfreeze,
    whole,
)


def replace(old: Part, new: Part) -> ev.ReplaceSubmodule:
    return ev.ReplaceSubmodule(site="replace", owner=whole(old), name="head", old=whole(old), new=whole(new))


# What is true now -----------------------------------------------------------------------------------------------------


def test_flags_modes_and_weights() -> None:
    root = net()
    asked = run(create(whole(root), NO), freeze(at(root, "body")), evaluate(at(root, "body")))
    [body], [head] = root.at("body"), root.at("head")
    assert (asked.flag(body), asked.flag(head), asked.flag(Part("other"))) == (NO, YES, UNSURE)
    assert (asked.mode(body), asked.mode(head), asked.mode(Part("other"))) == (NO, YES, UNSURE)
    assert (asked.weights(head), asked.weights(Part("other"))) == ("random", "unsure")
    assert asked.frozen([root]) == [body] and asked.trainable([root]) == [root.at("head")[0]]


def test_a_part_without_parameters_is_not_trainable() -> None:
    root = net()
    [drop] = root.at("body.drop")
    assert drop not in run(create(whole(root))).trainable([root])


def test_what_was_true_during_a_forward() -> None:
    root = net()
    asked = run(create(whole(root)), forward(whole(root)), freeze(whole(root)), evaluate(whole(root)))
    ran = asked.state.passes[1]
    assert asked.flag(root) is NO and asked.mode(root) is NO
    assert asked.mode(root, during=ran) is YES
    assert asked.frozen([root], during=ran) == [] and asked.trainable([root], during=ran) == [root]
    assert asked.last(ev.SetRequiresGrad, root) is not None and asked.last(ev.SetRequiresGrad, root, during=ran) is None


def test_who_holds_a_part() -> None:
    root = net()
    [body], [head] = root.at("body"), root.at("head")
    asked = run(create(whole(root)), optimizer([head]), optimizer([head], serial=2))
    assert [held.serial for held in asked.holders(head)] == [1, 2] == [held.serial for held in asked.optimizers]
    assert (asked.held(head), asked.held(body)) == (YES, NO)
    assert asked.optimizer(2) is not None and asked.optimizer(3) is None


def test_it_is_not_sure_that_nobody_holds_what_went_out_of_view() -> None:
    root = net()
    [body], [head] = root.at("body"), root.at("head")
    escape = ev.Escape(site="call", region=at(root, "body"), by="f")
    assert run(create(whole(root)), optimizer([head]), escape).held(body) is UNSURE
    assert run(create(whole(root)), optimizer([head], complete=UNSURE)).held(body) is UNSURE
    assert run(create(whole(root)), escape).held(head) is NO


def test_a_filter_that_ran_before_the_unfreeze() -> None:
    model = Part("model")
    built = optimizer(whole(model), filtered=True)
    assert run(built, unfreeze(whole(model))).filtered_out(model)
    assert not run(unfreeze(whole(model)), built).filtered_out(model)
    assert not run(freeze(whole(model)), built, unfreeze(whole(model))).filtered_out(model), "known before"
    assert not run(unfreeze(whole(model))).filtered_out(model), "no optimizer"


def test_gradients() -> None:
    root = net()
    asked = run(create(whole(root)), freeze(at(root, "body")), forward(whole(root)), backward(1))
    assert (asked.gradient(root.at("head")[0]), asked.gradient(root.at("body")[0])) == (YES, NO)
    assert asked.went_back() and not run().went_back()
    assert asked.recording() is YES and asked.switched_off() is None


def test_what_is_still_part_of_its_model() -> None:
    old, new = Part("old"), Part("new")
    asked = run(replace(old, new))
    assert (asked.in_use(old), asked.in_use(new), asked.in_use(Part("other"))) == (False, True, True)
    assert run(replace(old, new), replace(new, old)).in_use(old), "back again"
    assert asked.replacements() == [new]
    assert not asked.in_place(whole(old)) and asked.in_place(whole(new))


def test_changed_out_of_view() -> None:
    root = net()
    wrapped = run(ev.Wrap(site="x", region=whole(root), kind="compile"))
    gone = run(ev.Escape(site="x", region=at(root, "body"), by="f"))
    assert wrapped.changed_out_of_view(root) and gone.changed_out_of_view(root.at("body")[0])
    assert not gone.changed_out_of_view(root.at("head")[0])
    assert not gone.in_place(whole(root))


def test_sizes() -> None:
    root, unknown = net(), Part("model")
    asked = run()
    body, head = at(root, "body"), at(root, "head")
    assert asked.larger(body, head) and not asked.larger(head, body)
    [fc] = unknown.at("fc")
    rest = unknown.children[1]
    assert asked.larger(whole(rest), whole(fc)), "a whole model without its head"
    assert not asked.larger(whole(fc), whole(rest)) and not asked.larger(head, whole(unknown))
    assert asked.mostly(body, whole(root)) and not asked.mostly(head, whole(root))
    assert asked.mostly(whole(unknown), whole(unknown)) and not asked.mostly(whole(fc), whole(unknown))


def test_already() -> None:
    root = net()
    asked = run(create(whole(root)), freeze(at(root, "body")))
    assert asked.already(at(root, "body"), "False") and asked.already(at(root, "head"), "True")
    assert not asked.already(whole(root), "False") and not asked.already(frozenset(), "False")
    assert not asked.already(at(root, "body"), "flag")


def test_iterators() -> None:
    take = ev.TakeParams(site="take", iterator=1, text="p")
    use = ev.UseParams(site="use", iterator=1, by="a loop")
    assert run(take).spent(1) is None and run().spent(1) is None
    assert run(take, use).spent(1) == (take, use)


def test_what_an_optimizer_holds_of_the_same_model() -> None:
    root, other = net(), Part("other")
    body, head = at(root, "body"), at(root, "head")
    asked = run(create(whole(root, other)), optimizer([*head, other]))
    held = asked.optimizers[0]
    assert asked.beside(held, body) == [*head] and asked.beside(held, head) == []
    together = run(create(whole(root, other)), optimizer([other]), forward(whole(root, other)))
    assert together.beside(together.optimizers[0], body) == [other], "what runs in one forward is one model"


def test_known_parts() -> None:
    root = net()
    assert run().known_parts() == []
    assert run(create(whole(root))).known_parts() == [root]


def test_forwards_over_a_region() -> None:
    root = net()
    body, head = at(root, "body"), at(root, "head")
    asked = run(forward(whole(root)), forward(body, 2))
    assert [ran.event.serial for ran in asked.passes_over(body)] == [1, 2]
    assert [ran.event.serial for ran in asked.passes_over(whole(root))] == [1]
    assert asked.ran_alone(body) and not asked.ran_alone(head)


# How it came to be ----------------------------------------------------------------------------------------------------


def test_the_event_behind_a_fact() -> None:
    root = net()
    made, froze, built = create(whole(root), NO), freeze(at(root, "body")), optimizer(whole(root))
    asked = run(made, froze, built)
    [body], [head] = root.at("body"), root.at("head")
    assert asked.last(ev.SetRequiresGrad, body) is froze
    assert asked.last(ev.SetRequiresGrad, head) is None, "it is trainable because it was created so"
    assert asked.last(ev.BuildOptimizer) is built and asked.last(ev.Step) is None
    assert asked.created(head) is made
    assert run(made, ev.LoadWeights(site="x", region=whole(root))).created(head) is None
    assert asked.events_behind("grad", ev.SetRequiresGrad) == [froze]
    fact = asked.fact("grad", body)
    assert fact is not None and (fact.at, fact.was, fact.former) == (1, YES, made)


def test_since_the_start() -> None:
    root = net()
    [body], [head] = root.at("body"), root.at("head")
    asked = run(create(whole(root)), freeze([body]), step(), freeze([head]))
    assert asked.since_start("grad", body) and not asked.since_start("grad", head)
    assert run(freeze([body])).since_start("grad", body), "no step yet"
    assert not asked.since_start("mode", Part("other"))


def test_the_forwards_behind_a_loss() -> None:
    root = net()
    asked = run(forward(whole(root)), forward(at(root, "body"), 2))
    assert [ran.event.serial for ran in asked.training_passes(backward(1))] == [1]
    assert [ran.event.serial for ran in asked.training_passes(backward(1, complete=UNSURE))] == [1, 2]
    assert [ran.event.serial for ran in asked.training_passes(step())] == [1, 2]
    trained = asked.trained(step())
    assert {part.label: ran.event.serial for part, ran in trained.items()} == {"net.body": 2, "net": 1}
    stepped = Run(after(step(), state=asked.state))
    assert stepped.training_passes(step()) == [], "nothing ran since"


def test_trained_before_it_was_put_in_eval_mode() -> None:
    root = net()
    first = forward(whole(root))
    asked = run(create(whole(root)), first, backward(1), evaluate(whole(root)), forward(whole(root), 2))
    assert asked.trained_before(root, asked.state.passes[2]) is first
    assert asked.trained_before(root, asked.state.passes[1]) is None


def test_an_eval_that_a_wider_train_undid() -> None:
    root = net()
    stilled = evaluate(at(root, "body"))
    [body] = root.at("body")
    asked = run(create(whole(root)), stilled, train(whole(root)), forward(whole(root)))
    assert asked.stilled(body, asked.state.passes[1]) is stilled
    whole_eval = run(create(whole(root)), evaluate(whole(root)), train(whole(root)), forward(whole(root)))
    assert whole_eval.stilled(body, whole_eval.state.passes[1]) is None, "eval and train of the same"
    framework = evaluate(at(root, "body"), by="framework")
    asked = run(create(whole(root)), framework, train(whole(root)), forward(whole(root)))
    assert asked.stilled(body, asked.state.passes[1]) is None


def test_a_class_that_stands_alone() -> None:
    root = net()
    asked = run(create(whole(root)), train(whole(root), by="supposed"), forward(whole(root)))
    assert set(asked.supposed()) == set(root.leaves())
    again = run(create(whole(root)), train(whole(root), by="supposed"), forward(whole(root)), train(whole(root)))
    assert set(again.supposed()) == set(root.leaves()), "what counts is the forward"
    other = Run(after(forward(whole(root), 2), state=again.state))
    assert other.supposed() == {}


def test_copies_of_another_network() -> None:
    root = net()
    assert run(create(whole(root), kind="copy")).copies(root)
    assert run(create(whole(root)), ev.LoadWeights(site="x", region=whole(root), by="copy")).copies(root)
    assert not run(create(whole(root)), ev.LoadWeights(site="x", region=whole(root))).copies(root)
    assert not run().copies(root)


def test_frozen_for_this_step_only() -> None:
    root = net()
    froze = freeze(whole(root))
    assert run(create(whole(root)), optimizer(whole(root)), step(), froze).momentary(root)
    assert not run(create(whole(root)), froze, optimizer(whole(root)), step()).momentary(root)
    assert not run().momentary(root)


def test_unfrozen_after_an_optimizer_was_built() -> None:
    root = net()
    body = at(root, "body")
    [part] = body
    asked = run(create(whole(root)), freeze(body), optimizer(at(root, "head")), unfreeze(body))
    assert asked.awoke(part, asked.optimizers[0])
    again = Run(after(unfreeze(body, lap=1), state=asked.state))
    assert again.awoke(part, again.optimizers[0]), "the second lap of the same line"
    before = run(create(whole(root)), freeze(body), unfreeze(body), optimizer(at(root, "head")))
    assert not before.awoke(part, before.optimizers[0])
    never = run(create(whole(root)), optimizer(at(root, "head")), unfreeze(body))
    assert not never.awoke(part, never.optimizers[0])


def test_loads() -> None:
    root = net()
    assert not run().loads(root)
    root.traits["loads"] = YES
    assert run().loads(root.at("body")[0])


# What is cut off ------------------------------------------------------------------------------------------------------


def test_a_part_that_no_loss_reaches() -> None:
    body, head = Part("body"), Part("head")
    cut = ev.Cut("detach()", "detach")
    history = [create(whole(body, head), NO), optimizer(whole(body, head))]
    history += [forward(whole(body)), forward(whole(head), 2), backward(ev.Use(1, cut), 2), step()]
    asked = run(*history)
    assert asked.cut(body) is cut and asked.cut(head) is None
    assert asked.starved() == [body] and asked.meant(whole(body))
    reached = run(*history, forward(whole(body), 3), backward(3))
    assert reached.cut(body) is None and reached.starved() == [], "another loss reaches it"
    assert run(create(whole(body))).meant(whole(body)) is False
    assert run(unfreeze(whole(body))).meant(whole(body))


def test_a_loss_without_a_graph() -> None:
    body, teacher = Part("body"), Part("teacher")
    history = [create(whole(body, teacher)), optimizer(whole(body)), no_grad()]
    history += [forward(whole(body)), forward(whole(teacher), 2), leave()]
    [(cut, what)] = run(*history).cuts(backward(1, 2))
    assert what == "`body`", "what an optimizer holds was meant to learn"
    assert cut_by([(cut, what)]) == "with"
    assert cut_by([]) == "" and cut_by([(ev.Cut("item()", "x"), ""), (cut, what)]) == "call"


# What stood where before ----------------------------------------------------------------------------------------------


def test_a_freeze_is_used_by_a_forward_or_by_an_optimizer() -> None:
    root = net()
    body, froze = at(root, "body"), freeze(at(root, "body"))
    assert not run(create(whole(root)), froze).used_since(froze, body)
    assert run(create(whole(root)), froze, forward(whole(root))).used_since(froze, body)
    assert run(create(whole(root)), froze, optimizer(whole(root))).used_since(froze, body)
    assert not run(create(whole(root)), optimizer(whole(root)), froze).used_since(froze, body)


def test_a_weight_that_is_unfrozen_without_its_bias() -> None:
    root = net()
    froze = freeze(whole(root))
    weight = at(root, "head.weight")
    [part] = root.at("head.weight")
    assert part.is_weight and not any(p.is_weight for p in root.at("body.conv"))
    assert run(create(whole(root)), froze, unfreeze(weight)).still_frozen_beside(weight) is froze
    both = weight | at(root, "head.bias")
    assert run(create(whole(root)), froze, unfreeze(both)).still_frozen_beside(weight) is None
    asked = run(create(whole(root)), freeze(weight))
    assert asked.awake_beside(weight) == list(root.at("head.bias"))


def test_where_a_parameter_lies() -> None:
    root = net()
    [head] = root.at("head")
    asked = run(create(whole(root)))
    assert asked.holding(whole(root), "head.weight") is head
    assert asked.holding(whole(root), "body.conv.weight") is root.children[1]


def test_what_replaced_a_parameter_and_a_model() -> None:
    old, new = net(), net()
    swap = ev.Rebind(site="x", name="model", old=whole(old), new=whole(new))
    assert run(create(whole(old)), swap).events_behind("rebound", ev.Rebind) == [swap]
    weight = Part("weight", layers={"": Layer("Parameter", ("",))})
    wrap = ev.ReplaceParameter(site="x", name="weight", old=at(old, "head.weight"), new=whole(weight))
    froze = freeze(whole(old))
    assert not run(create(whole(old)), froze, create(whole(weight)), wrap).since(wrap, wrap.old)
    assert run(create(whole(old)), create(whole(weight)), wrap, froze).since(wrap, wrap.old)


def test_batchnorm_settings_that_still_it() -> None:
    root = net()
    [body] = root.at("body")
    wrote = ev.WroteAttribute(site="x", target="module", name="momentum", value="0", region=whole(body))
    assert run(create(whole(root)), wrote).stilled_by_setting(body) is wrote
    other = ev.WroteAttribute(site="x", target="module", name="momentum", value="0.01", region=whole(body))
    assert run(create(whole(root)), wrote, other).stilled_by_setting(body) is None


# In words -------------------------------------------------------------------------------------------------------------


def test_names() -> None:
    root = net()
    assert name(whole(root)) == "`net`" and name(at(root, "head")) == "`net.head`"
    assert called(ev.Forward(site="x", serial=1, region=whole(root), label="model")) == "`model`"
    assert called(ev.Forward(site="x", serial=1, region=whole(root), label="build()(x)")) == "`net`"


def test_groups() -> None:
    a, b, c = Part("a"), Part("b"), Part("c")
    keys = {a: 1, b: None, c: 1}
    assert list(grouped([a, b, c], keys.get)) == [(1, whole(a, c))]


def test_events_as_the_trace_prints_them() -> None:
    root = Part("net", layers={"fc": Layer("Linear", ("weight",)), "body": Layer("Linear", ("weight",))})
    fc = at(root, "fc")
    lines = {
        show(freeze(fc)): "SetRequiresGrad(net.fc, to=no)",
        show(optimizer(fc, frozenset())): "BuildOptimizer(optimizer=1, kind=SGD, groups=[net.fc, nothing])",
        show(backward(2, ev.Use(1, ev.Cut("detach()", "x")))): "Backward(uses=#1 cut by detach(), #2)",
        show(ev.ZeroGrad(site="x", set_to_none=NO)): "ZeroGrad(set_to_none=no)",
        show(backward(forced=object())): "Backward(uses=nothing, forced=<object>)",
        show(ev.End(site="x")): "End()",
    }
    assert list(lines) == list(lines.values())


def test_two_faults_tell_one_story_when_one_blames_a_place_of_the_other() -> None:
    frozen = Fault("freeze", "the head is frozen")
    idle = Fault("build", "nothing is held", (Note("freeze", "frozen here"),))
    elsewhere = Fault("load", "weights are ignored", (Note("build", "built here"),), about="other")
    assert same_story(frozen, idle) and same_story(idle, frozen)
    assert not same_story(frozen, elsewhere)
    assert same_story(Fault("a:1", "x"), Fault("a:2", "y"), where=lambda site: site.partition(":")[0])
