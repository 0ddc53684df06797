"""Region trees: parts split by path, name, layer and position, exactly where layers are known; and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freezelint.trace.regions import HERE, Layer, Part, View, leaves
from freezelint.trace.regions import Test as Question
from freezelint.trace.tri import NO, UNSURE, YES, Tri
from freezelint.trace.wording import covering, describe

CONV, NORM, LINEAR = (
    Layer("Conv2d", ("weight",)),
    Layer("BatchNorm2d", ("weight", "bias")),
    Layer("Linear", ("weight", "bias")),
)


def net() -> Part:
    """A small network whose layers are known."""
    layers = {
        "stem.conv": CONV,
        "stem.bn": NORM,
        "layer1.conv": CONV,
        "layer1.bn": NORM,
        "layer10.conv": CONV,
        "drop": Layer("Dropout", rate=0.5),
        "fc": LINEAR,
    }
    return Part("net", layers=layers)


def names(*parts: Part) -> set[str]:
    return {name for part in parts for name in part.names or ()}


# By path --------------------------------------------------------------------------------------------------------------


def test_a_path_is_one_part_and_the_rest_another() -> None:
    root = net()
    [fc] = root.at("fc")
    assert names(fc) == {"fc.weight", "fc.bias"} and fc.count == 2
    assert fc.label == "net.fc" and repr(fc) == "<net.fc>"
    other, rest = root.children
    assert other is fc and rest.is_remainder and not fc.is_remainder
    assert names(*root.leaves()) == names(net()), "nothing is lost"
    assert root.at("fc") == (fc,), "asked again, it is the same"


def test_a_dotted_beginning_is_no_path() -> None:
    root = net()
    [layer1] = root.at("layer1")
    assert names(layer1) == {"layer1.conv.weight", "layer1.bn.weight", "layer1.bn.bias"}


def test_a_path_inside_a_path_and_around_one() -> None:
    root = net()
    [conv] = root.at("layer1.conv")
    assert {part.label for part in root.at("layer1")} == {"net.layer1.conv", "net.layer1"}
    assert conv in root.at("layer1")
    assert names(*root.at("layer1")) == {"layer1.conv.weight", "layer1.bn.weight", "layer1.bn.bias"}


def test_one_parameter() -> None:
    root = net()
    [weight] = root.at("fc.weight")
    assert names(weight) == {"fc.weight"}
    assert names(*root.at("fc")) == {"fc.weight", "fc.bias"}


def test_what_is_not_there() -> None:
    assert net().at("classifier") == ()
    assert net().at("fc.weights") == ()


def test_a_path_that_is_everything() -> None:
    root = Part("head", layers={"fc": LINEAR})
    assert root.at("fc") == (root,) and not root.children


def test_an_unknown_model_has_whatever_path_is_asked_for() -> None:
    root = Part("model")
    [fc] = root.at("fc")
    assert fc.names is None and fc.count is None
    assert root.at("fc.weight") != () and root.at("fc.weight")[0].parent is fc
    [body] = root.at("body")
    assert body.at("fc") == (), "what lies below another path is not in it"


def test_what_is_left_of_an_unknown_model_is_most_of_it_only_without_its_head() -> None:
    root = Part("model")
    [fc] = root.at("fc")
    assert root.is_rest and not fc.is_rest and leaves([root])[-1].is_rest
    root.at("body")
    assert not leaves([root])[-1].is_rest


# By name --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, args, passing",
    [
        ("in", ("bn",), {"stem.bn.weight", "stem.bn.bias", "layer1.bn.weight", "layer1.bn.bias"}),
        (
            "in",
            ("fc", "conv"),
            {"stem.conv.weight", "layer1.conv.weight", "layer10.conv.weight", "fc.weight", "fc.bias"},
        ),
        (
            "startswith",
            ("layer1",),
            {"layer1.conv.weight", "layer1.bn.weight", "layer1.bn.bias", "layer10.conv.weight"},
        ),
        ("startswith", ("layer1.",), {"layer1.conv.weight", "layer1.bn.weight", "layer1.bn.bias"}),
        ("endswith", ("bias",), {"stem.bn.bias", "layer1.bn.bias", "fc.bias"}),
        ("equals", ("fc.weight", "fc"), {"fc.weight"}),
        ("regex", (r"layer\d+\.conv",), {"layer1.conv.weight", "layer10.conv.weight"}),
    ],
)
def test_a_name_test_splits_exactly(kind: str, args: tuple[str, ...], passing: set[str]) -> None:
    root = net()
    yes, no = root.split(Question(kind, args))
    assert names(*yes) == passing and names(*no) == names(net()) - passing
    assert root.split(Question(kind, args)) == (yes, no), "the same test gives the same parts"


def test_a_test_that_all_or_none_pass_splits_nothing() -> None:
    root = net()
    assert root.split(Question("in", ("classifier",))) == ((), (root,))
    assert root.split(Question("endswith", ("weight", "bias"))) == ((root,), ())
    assert not root.children


def test_names_as_another_model_lists_them() -> None:
    [layer1] = net().at("layer1")
    yes, no = layer1.split(Question("startswith", ("backbone.conv",)), View("backbone", "layer1"))
    assert names(*yes) == {"layer1.conv.weight"} and names(*no) == {"layer1.bn.weight", "layer1.bn.bias"}
    assert View("backbone", "layer1").name("layer1.bn.bias") == "backbone.bn.bias"
    assert HERE.name("fc.bias") == "fc.bias"


def test_an_unknown_model_splits_into_halves_that_may_be_empty() -> None:
    root = Part("model")
    test = Question("in", ("bn",), '"bn" in name')
    [yes], [no] = root.split(test)
    assert (yes.label, no.label) == ('model ("bn" in name)', 'model (not "bn" in name)')
    assert yes.split(test) == ((yes,), ()) and no.split(test) == ((), (no,)), "it is known which half it is"
    assert root.split(test) == ((yes,), (no,))
    assert not yes.is_rest and not no.is_rest


@pytest.mark.parametrize(
    "kind, arg, passes",
    [
        ("in", "layer4", YES),
        ("in", "bias", UNSURE),
        ("startswith", "layer4", YES),
        ("startswith", "layer4.0", UNSURE),
        ("startswith", "fc", NO),
        ("equals", "fc.weight", NO),
        ("equals", "layer4.weight", UNSURE),
        ("endswith", "bias", UNSURE),
    ],
)
def test_a_path_alone_may_decide(kind: str, arg: str, passes: Tri) -> None:
    [layer4] = Part("model").at("layer4")
    yes, no = layer4.split(Question(kind, (arg,)))
    assert {YES: ((layer4,), ()), NO: ((), (layer4,))}.get(passes, (layer4.children[:1], layer4.children[1:])) == (
        yes,
        no,
    )


def test_a_path_in_a_half_that_cannot_hold_it() -> None:
    root = Part("model")
    [yes], [no] = root.split(Question("startswith", ("fc",)))
    assert [part.parent for part in root.at("fc")] == [yes]
    assert [part.parent for part in root.at("body")] == [no]


def test_tests_say_unsure_of_what_they_cannot_know() -> None:
    assert Question("regex", ("(",)).of_name("fc.weight") is UNSURE
    assert Question("opaque", ()).of_name("fc.weight") is UNSURE
    assert Question("in", ("fc",)).of_layer("Linear") is UNSURE
    assert Question("in", ("fc",)).of_prefix("") is UNSURE


def test_a_test_that_cannot_be_read_splits_even_a_known_model() -> None:
    root = net()
    [yes], [no] = root.split(Question("opaque", ("i < 6",), "i < 6"))
    assert yes.names is None and no.names is None
    assert yes.has("params") is UNSURE


# By layer -------------------------------------------------------------------------------------------------------------


def test_a_kind_of_layer() -> None:
    root = net()
    yes, no = root.split(Question("layer", ("BatchNorm2d",)))
    assert names(*yes) == {"stem.bn.weight", "stem.bn.bias", "layer1.bn.weight", "layer1.bn.bias"}
    assert [part.has("batchnorm") for part in (*yes, *no)] == [YES, NO]
    assert yes[0].only("batchnorm") and not no[0].only("batchnorm")


def test_a_base_class_of_layers() -> None:
    yes, _ = net().split(Question("layer", ("_ConvNd",)))
    assert names(*yes) == {"stem.conv.weight", "layer1.conv.weight", "layer10.conv.weight"}


def test_layers_without_parameters() -> None:
    [yes], [no] = net().split(Question("layer", ("Dropout",)))
    assert yes.count == 0 and yes.has("params") is NO and yes.has("dropout") is YES
    assert no.has("dropout") is NO and yes.only("dropout")


def test_the_batchnorm_of_an_unknown_model() -> None:
    root = Part("model")
    [yes], [no] = root.split(Question("layer", ("BatchNorm2d",)))
    assert yes.label == "the BatchNorm layers of model" and yes.only("batchnorm")
    assert (yes.has("batchnorm"), no.has("batchnorm")) == (UNSURE, NO)
    [_], [others] = Part("model").split(Question("layer", ("BatchNorm1d",)))
    assert others.has("batchnorm") is UNSURE, "BatchNorm2d may be among them"


def test_the_batchnorm_of_a_model_that_has_some_or_none() -> None:
    [yes], [_] = Part("resnet", traits={"batchnorm": YES}).split(Question("layer", ("_BatchNorm",)))
    assert yes.has("batchnorm") is YES
    without = Part("vit", traits={"batchnorm": NO})
    assert without.split(Question("layer", ("BatchNorm2d",))) == ((), (without,))


def test_another_kind_in_an_unknown_model() -> None:
    [yes], [no] = Part("model").split(Question("layer", ("Linear",), "isinstance(m, nn.Linear)"))
    assert yes.label == "model (isinstance(m, nn.Linear))" and no.has("batchnorm") is UNSURE


# What a part is -------------------------------------------------------------------------------------------------------


def test_a_yes_about_the_whole_says_nothing_about_a_half() -> None:
    root = Part("resnet", traits={"batchnorm": YES, "dropout": NO})
    [fc] = root.at("fc")
    assert (root.has("batchnorm"), fc.has("batchnorm")) == (YES, UNSURE)
    assert (fc.has("dropout"), fc.has("params")) == (NO, UNSURE)


def test_a_dropout_with_rate_zero_is_none() -> None:
    assert Part("model", layers={"drop": Layer("Dropout", rate=0.0)}).has("dropout") is NO
    assert Part("model", layers={"drop": Layer("Dropout")}).has("dropout") is YES


def test_parameters_of_no_layer() -> None:
    assert Part("pos_embed", layers={"": Layer("Parameter", ("pos_embed",))}).is_bare
    assert not net().is_bare and not Part("model").is_bare


def test_only_batchnorm_when_all_halves_are() -> None:
    root = Part("model", layers={"a": NORM, "b": NORM})
    root.at("a")
    assert root.only("batchnorm") and all(child.only("batchnorm") for child in root.children)
    unknown = Part("model")
    assert not unknown.only("batchnorm")


def test_what_may_be_empty() -> None:
    root = Part("model")
    [body] = root.at("body.layer")
    assert not body.may_be_empty and not leaves([root])[-1].may_be_empty, "one piece of a model is not all of it"
    root.at("head")
    assert leaves([root])[-1].may_be_empty, "beside body and head there may be nothing"
    [some], [others] = Part("model").split(Question("opaque", ("i < 6",), "i < 6"))
    assert some.may_be_empty and others.may_be_empty
    known = net()
    known.at("fc")
    assert not any(part.may_be_empty for part in known.children)


def test_above_below_and_leaves() -> None:
    root = net()
    [conv] = root.at("layer1.conv")
    assert list(conv.above()) == [conv, root]
    assert set(root.below()) == set(root.children)
    assert leaves([root, conv]) == sorted(root.leaves(), key=lambda part: part.serial), (
        "each leaf once, the oldest first"
    )
    assert all(leaf.root is root for leaf in root.leaves())


# In words -------------------------------------------------------------------------------------------------------------


def test_halves_that_are_all_there_are_the_whole_again() -> None:
    root = net()
    [fc] = root.at("fc")
    assert covering(leaves([root])) == [root]
    assert describe(leaves([root])) == "net"
    assert describe([fc]) == "net.fc"
    assert describe([fc], quote="`") == "`net.fc`"
    assert describe([root.children[1]], quote="`") == "the rest of `net`"
    assert describe([]) == ""


def test_several_parts() -> None:
    root = Part("model")
    parts = [root.at(path)[0] for path in ("a", "b", "c", "d", "e")]
    assert describe(parts[:2]) == "model.a and model.b"
    assert describe(parts[:3]) == "model.a, model.b and model.c"
    assert describe(parts, quote="`") == "5 parts of `model`"
    apart = [Part(label) for label in ("a", "b", "c", "d")]
    assert describe(apart) == "a, b, c and 1 more"
    assert describe([Part("(resnet18)")], quote="`") == "`resnet18`", "a model without a name yet"


# Whatever is asked of a tree ------------------------------------------------------------------------------------------

PATHS = st.sampled_from(["fc", "stem", "stem.bn", "layer1", "layer1.conv", "layer1.conv.weight", "drop", "missing"])
TESTS = st.builds(
    lambda kind, arg: Question(kind, (arg,)),
    st.sampled_from(["in", "startswith", "endswith", "equals", "regex", "layer"]),
    st.sampled_from(["bn", "conv", "fc.weight", "layer1", "bias", "BatchNorm2d", "Linear", "Dropout", "stem"]),
)


@given(st.lists(st.one_of(PATHS, TESTS), max_size=6))
def test_splitting_never_loses_or_doubles_a_parameter(asked: list[str | Question]) -> None:
    root = net()
    for question in asked:
        if isinstance(question, str):
            found = root.at(question)
            inside = {name for name in names(net()) if f"{name}.".startswith(f"{question}.")}
            assert names(*leaves(found)) == inside
        else:
            yes, no = root.split(question)
            assert not set(leaves(yes)) & set(leaves(no))
            assert names(*leaves(yes)) | names(*leaves(no)) == names(net())
    listed = [name for leaf in root.leaves() for name in leaf.names or ()]
    assert sorted(listed) == sorted(names(net()))
    assert covering(root.leaves()) == [root]
