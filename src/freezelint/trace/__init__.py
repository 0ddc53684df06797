"""The vocabulary both witnesses speak: training events, the regions they touch, the state they lead to.

Terms
-----
part      a node of a model's region tree: some parameters and the modules that own them. A part without children is
          a *leaf*. Parts only ever split (by path, by a name test, by module kind), they never change or merge, so
          every world and both witnesses can share one tree.
region    a frozenset of parts: "these and everything below them".
event     something the program did to a region, an optimizer or a tensor: `SetRequiresGrad`, `Step`, ...
fact      what the last event about a part says (frozen, in eval mode, ...), with that event as its evidence.
state     all facts at one moment. Immutable; `apply(event)` gives the next one.
run       a state together with the questions that rules ask of it.
world     one way through the program (static side only): a state and the assumptions that led to it.

A worked example
----------------
    model = resnet18()                      CreateModule(model)            one part, trainable, in train mode
    for p in model.parameters():
        p.requires_grad = False             SetRequiresGrad({model}, No)   fact on the part `model`
    opt = SGD(model.fc.parameters())        BuildOptimizer({model.fc})     `model` splits: fc | the rest
    for p in model.layer4.parameters():
        p.requires_grad = True              SetRequiresGrad({layer4}, Yes) the rest splits: layer4 | the rest
    model(x).sum().backward()               Forward({model}), Backward
    opt.step()                              Step(opt): layer4 is surely trainable, has a gradient, and nobody holds it

The rule `unfreeze-not-in-optimizer` listens to Step and End and asks for regions that are surely trainable and surely
held by no optimizer; `run.last(SetRequiresGrad, part)` is the line to blame. Nothing in this package knows libcst or
torch: `static/` feeds it from source, `live/` from a running program.
"""
