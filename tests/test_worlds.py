"""Worlds: forks that share nothing that can change, and merges that lose nothing a rule could ask about."""

from __future__ import annotations

import pytest

from freezelint.static.values import (
    NONE,
    Const,
    Instance,
    Items,
    Lib,
    Obj,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import WORLDS, Assumption, Flow, World, light, merge
from freezelint.trace.events import Use
from freezelint.trace.regions import HERE, Layer, Part
from freezelint.trace.tri import NO, UNSURE, YES
from histories import create, freeze, net, unfreeze, whole

FRAME = 1


def world(**names: Value) -> World:
    """A world with these names in its frame."""
    made = World()
    made.own(FRAME).update(names)
    return made


def assumed(where: World, key: str, truth: bool) -> World:
    where.assumed[Sym(key)] = Assumption(truth, key)
    return where


def model(where: World, part: Part, serial: int = 100) -> Obj:
    """A module of that part."""
    where.heap[serial] = Instance("net", part=part)
    return Obj(serial)


# Forks ----------------------------------------------------------------------------------------------------------------


def test_what_a_fork_binds_is_its_own() -> None:
    first = world(x=Const(1))
    second = first.fork()
    assert first.names[FRAME] is second.names[FRAME], "shared until one of them writes"
    second.own(FRAME)["x"] = Const(2)
    first.own(FRAME)["y"] = Const(3)
    assert first.names[FRAME] == {"x": Const(1), "y": Const(3)} and second.names[FRAME] == {"x": Const(2)}
    third = second.fork()
    second.own(FRAME)["x"] = Const(4)
    assert third.names[FRAME]["x"] == Const(2), "the one that was forked has to copy as well"


def test_what_else_a_fork_does_is_its_own() -> None:
    root = net()
    first = world()
    first.state = first.state.apply(create(whole(root)))
    second = first.fork()
    second.state = second.state.apply(freeze(whole(root)))
    second.heap[7] = Items(())
    assumed(second, "args.freeze", True)
    second.flow = Flow.RETURN
    second.elements[1] = ((HERE, root),)
    assert first.state != second.state
    assert not first.heap and not first.assumed and not first.elements and first.flow is Flow.NORMAL


# Merges ---------------------------------------------------------------------------------------------------------------


def test_equal_worlds_become_one_and_forget_what_they_assumed() -> None:
    first = world(x=Const(1))
    second = assumed(first.fork(), "args.debug", False)
    assumed(first, "args.debug", True)
    assumed(first, "args.freeze", True)
    assumed(second, "args.freeze", True)
    [one] = merge([first, second])
    assert set(one.assumed) == {Sym("args.freeze")}


def test_one_world_or_none() -> None:
    only = world()
    assert merge([only]) == [only] and merge([]) == []


def test_worlds_that_a_rule_could_tell_apart_stay_apart() -> None:
    root = net()
    first = world()
    second = first.fork()
    first.state = first.state.apply(freeze(whole(root)))
    second.state = second.state.apply(unfreeze(whole(root)))
    assert len(merge([first, second])) == 2


@pytest.mark.parametrize("flow", [Flow.RETURN, Flow.BREAK, Flow.CONTINUE, Flow.RAISE])
def test_ways_to_leave_a_block_stay_apart(flow: Flow) -> None:
    first, second = world(), world()
    second.flow = flow
    assert len(merge([first, second])) == 2


def test_light_values_that_differ_become_unknown() -> None:
    [one] = merge([world(rate=Const(0.1), x=Const(1)), world(rate=Const(0.2), x=Const(1))])
    assert isinstance(one.names[FRAME]["rate"], Sym) and one.names[FRAME]["x"] == Const(1)


def test_a_name_that_only_one_world_binds() -> None:
    first, second = world(x=Const(1)), world(x=Const(1), y=Const(2))
    [one] = merge([first, second])
    assert isinstance(one.names[FRAME]["y"], Sym)


def test_values_with_parameters_stay_apart() -> None:
    root = net()
    first, second = world(p=NONE), world()
    second.own(FRAME)["p"] = Params(((HERE, root),))
    assert len(merge([first, second])) == 2


def test_two_models_under_one_name_stay_apart() -> None:
    first, second = world(), world()
    first.own(FRAME)["model"] = model(first, net(), 100)
    second.own(FRAME)["model"] = model(second, net(), 101)
    assert len(merge([first, second])) == 2


def test_two_activations_are_one() -> None:
    first, second = world(), world()
    first.own(FRAME)["act"] = model(first, Part("relu", layers={"": Layer("ReLU")}), 100)
    second.own(FRAME)["act"] = model(second, Part("gelu", layers={"": Layer("GELU")}), 101)
    [one] = merge([first, second])
    assert one.names[FRAME]["act"] == Obj(100)


def test_tensors_come_out_of_both() -> None:
    loss = [Tensor(frozenset({Use(1)}), YES), Tensor(frozenset({Use(2)}), UNSURE)]
    [one] = merge([world(loss=loss[0]), world(loss=loss[1])])
    assert one.names[FRAME]["loss"] == Tensor(frozenset({Use(1), Use(2)}), UNSURE)
    pair = [world(pair=Tuple((Const(1), tensor))) for tensor in loss]
    [one] = merge(pair)
    joint = one.names[FRAME]["pair"]
    assert isinstance(joint, Tuple) and joint.items[1] == Tensor(frozenset({Use(1), Use(2)}), UNSURE)


def test_lists_and_dictionaries() -> None:
    def holding(record: Items | Table) -> World:
        made = world(box=Ref(5))
        made.heap[5] = record
        return made

    [one] = merge([holding(Items((Const(1), Const(2)))), holding(Items((Const(1), Const(3))))])
    assert one.heap[5].items[0] == Const(1) and isinstance(one.heap[5].items[1], Sym)
    [one] = merge([holding(Items((Const(1),))), holding(Items(()))])
    assert one.heap[5] == Items((), True), "some light things, nobody knows how many"
    [one] = merge([holding(Table({"a": Const(1)})), holding(Table({"a": Const(2), "b": Const(3)}))])
    assert set(one.heap[5].items) == {"a", "b"} and all(isinstance(v, Sym) for v in one.heap[5].items.values())
    heavy = Params(((HERE, net()),))
    assert len(merge([holding(Items((heavy,))), holding(Items(()))])) == 2
    assert len(merge([holding(Items(())), holding(Table({}))])) == 2


def test_attributes_of_an_instance() -> None:
    def holding(value: Value) -> World:
        made = world(self=Obj(9))
        made.heap[9] = Instance("Trainer", attrs={"epochs": value})
        return made

    [one] = merge([holding(Const(1)), holding(Const(2))])
    assert isinstance(one.heap[9].attrs["epochs"], Sym)
    assert len(merge([holding(Const(1)), holding(Params(((HERE, net()),)))])) == 2


def test_light_and_heavy() -> None:
    made = world()
    made.heap[1] = Items((Const(1), Lib("torch")))
    made.heap[2] = Items((Params(((HERE, net()),)),))
    made.heap[3] = Table({"a": Ref(2)})
    known = model(made, net())
    relu = model(made, Part("relu", layers={"": Layer("ReLU")}), 200)
    assert all(light(v, made) for v in (None, Const(1), Sym("x"), Lib("torch"), Ref(1), relu, Tensor(frozenset(), YES)))
    assert not any(light(v, made) for v in (known, Ref(2), Ref(3), Tensor(frozenset({Use(1)}), YES), Tuple((known,))))


# Too many worlds ------------------------------------------------------------------------------------------------------


def different(count: int) -> list[World]:
    """Worlds that have frozen other layers each."""
    root = Part("model")
    worlds = []
    for number in range(count):
        made = world(model=Const(number))
        made.state = made.state.apply(create(whole(root))).apply(freeze(root.at(f"layer{number}")))
        assumed(made, f"test {number}", True)
        worlds.append(made)
    return worlds


def test_past_the_limit_the_last_ones_become_unsure() -> None:
    worlds = different(WORLDS + 3)
    kept = merge(worlds)
    assert len(kept) == WORLDS and kept[:-1] == worlds[: WORLDS - 1]
    [frozen] = [part for part in worlds[WORLDS + 1].state.grad if part.label == f"model.layer{WORLDS + 1}"]
    fact = kept[-1].state.grad[frozen]
    assert fact.value is UNSURE and isinstance(kept[-1].names[FRAME]["model"], Sym) and not kept[-1].assumed


def test_with_little_fuel_some_are_no_longer_looked_at() -> None:
    worlds = different(20)
    root = next(iter(worlds[7].state.grad)).root
    worlds[7].state = worlds[7].state.apply(freeze(whole(*root.at("layer0"), *root.at("layer1"), *root.at("layer2"))))
    kept = merge(worlds, limit=4)
    assert len(kept) == 4 and worlds[7] in kept, "the one that freezes most is among them"
    returned = different(3)
    returned[2].flow = Flow.RETURN
    assert {w.flow for w in merge(returned, limit=1)} == {Flow.NORMAL, Flow.RETURN}, "each way out stays"
    assert all(f.value is not UNSURE for w in kept for f in w.state.grad.values())
    assert NO in {f.value for f in kept[0].state.grad.values()}


def test_a_world_in_which_other_parts_are_frozen_is_not_lost_silently() -> None:
    worlds = different(3)
    same = worlds[1].fork()
    same.own(FRAME)["model"] = Lib("torch.nn.Linear")
    lost: list[World] = []
    [kept] = merge([*worlds, same], 1, lost.append)
    assert kept not in lost
    frozen = [world.state.grad for world in lost]
    assert len(lost) >= 2 and all(grad != kept.state.grad for grad in frozen)
