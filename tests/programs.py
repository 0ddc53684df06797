"""Training programs that nobody wrote: a grammar of what people write, and of what they could, from random numbers.

`program(random)` gives the files of one program; the same numbers give the same program. It always parses, and need not
make sense: what is checked is that freezelint gets to an end with it, and always to the same one.
"""

from __future__ import annotations

import ast
from random import Random

IMPORTS = """
import torch
import torch.nn as nn
from torch import nn, optim
from torch.optim import SGD, Adam, AdamW
import torch.nn.functional as F
import torchvision
from torchvision import models
from torchvision.models import resnet18, vgg16
import timm
import transformers
from transformers import AutoModel, Trainer, TrainingArguments
from peft import LoraConfig, get_peft_model
import pytorch_lightning as pl
import lightning as L
from accelerate import Accelerator
from functools import partial
from torch.nn.parallel import DistributedDataParallel as DDP
from other import *
from other import freeze, Net, model
from . import other
import other
import argparse, sys, os
from __future__ import annotations
""".strip().splitlines()

MODELS = """
nn.Linear(8, 2)
nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
models.resnet18(pretrained=True)
resnet18(weights="DEFAULT")
torchvision.models.vgg16(weights=torchvision.models.VGG16_Weights.DEFAULT)
timm.create_model("resnet50", pretrained=True, num_classes=2)
AutoModel.from_pretrained("bert-base-uncased")
transformers.AutoModelForSequenceClassification.from_pretrained(NAME)
get_peft_model(model, LoraConfig(r=8))
torch.hub.load("facebookresearch/dino", "dino_vits16")
Net()
Net(model, *args, **kwargs)
DDP(model)
nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.BatchNorm1d(2)})
nn.Embedding.from_pretrained(torch.zeros(3, 4))
torch.load("model.pt")
copy.deepcopy(model)
models.__dict__[ARCH](pretrained=PRETRAINED)
getattr(models, ARCH)()
torch.compile(model)
build(ARCH)
{"a": resnet18, "b": vgg16}[ARCH]()
nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
""".strip().splitlines()

PARTS = """
model
model.fc
model.layer4
model[0]
model[-1]
model[1:]
model.module
model.features[:5]
model.encoder.layer[i]
self.backbone
self
net
list(model.children())[:-1]
getattr(model, NAME)
model.get_submodule("layer4")
[model, net]
teacher
head if FLAG else model
""".strip().splitlines()

# ~ is a part, %n a name, %e an expression.
SIMPLE = """
model = MODEL
net, teacher = MODEL, MODEL
head = nn.Linear(8, 2)
for p in ~.parameters(): p.requires_grad = False
for name, p in ~.named_parameters(): p.requires_grad = "bn" in name or name.startswith("layer4")
~.requires_grad_(False)
~.requires_grad = False
~.weight.requires_grad = True
~.require_grad = False
[p.requires_grad_(False) for p in ~.parameters()]
map(lambda p: p.requires_grad_(False), ~.parameters())
freeze(~)
set_requires_grad(~, %e)
~.freeze()
~.eval()
~.train(%e)
~.eval
~.training = False
~.apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d) else None)
~.fc = nn.Linear(8, 2)
~.weight = nn.Parameter(torch.zeros(2))
~.load_state_dict(torch.load(PATH), strict=False)
~.to(DEVICE).train()
optimizer = torch.optim.SGD(~.parameters(), lr=0.1)
optimizer = optim.AdamW(filter(lambda p: p.requires_grad, ~.parameters()), lr=%e)
optimizer = Adam([p for p in ~.parameters() if p.requires_grad])
optimizer = SGD([{"params": ~.parameters(), "lr": 1e-3}, {"params": [%e]}], lr=0.1)
optimizer = OPTIMIZERS[NAME](params, lr)
params = ~.parameters()
params = list(~.parameters()) + list(head.parameters())
params = [p for n, p in ~.named_parameters() if %e]
params += [p for p in head.parameters()]
optimizer.add_param_group({"params": ~.parameters()})
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3)
scheduler.step()
optimizer.zero_grad(); loss.backward(); optimizer.step()
optimizer.step()
loss.backward(retain_graph=%e)
loss += F.cross_entropy(out, y)
loss = criterion(model(x), y)
loss = sum(losses) / len(losses)
loss = (loss + aux).item()
losses.append(loss.detach())
out = ~(x)
out = ~.forward(x, %e)
out = F.dropout(out.detach().cpu().numpy().argmax(-1))
with torch.no_grad(): out = ~(x)
torch.set_grad_enabled(%e)
torch.no_grad()
torch.nn.utils.clip_grad_norm_(~.parameters(), 1.0)
trainer = Trainer(model=model, args=TrainingArguments("out"))
trainer.fit(model, loader)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
accelerator.backward(loss)
scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()
train(~, optimizer, loader)
%n = %e
%n: int = %e
%n, *%n = %e, %e, %e
(%n, (%n, %n)) = %e
%n[%e] = %e
%n[%e:%e] = %e
%n.%n = %e
%n += %e
%n @= %e
del %n, %n[0]
assert %e, %e
%e
print(f"{%n} {%n!r:>10}")
if (%n := %e): pass
lambda %n, *a, k=%e, **kw: %e
import sys, %n
raise ValueError(%e) from None
pass
""".strip().splitlines()

ATOMS = """
0 1 -1 2.5 1e-3 "a" 'layer4' None True False ... [] () {} model loss x y self args ARCH FLAG name p i optimizer b"x" 1j
"bn" params %n %n %n %n nn.BatchNorm2d int
""".split()

COMPOUND = """
if %e:
if args.freeze:
if not FLAG and epoch == 3:
if isinstance(m, nn.BatchNorm2d):
if "bn" in name:
for %n in %e:
for epoch in range(10):
for i, (x, y) in enumerate(loader):
for p in ~.parameters():
for name, p in ~.named_parameters():
for m in ~.modules():
for name, child in ~.named_children():
for %n, %n in zip(~.parameters(), teacher.parameters()):
while %e:
while True:
with torch.no_grad():
with torch.inference_mode(), open(PATH) as f:
with torch.set_grad_enabled(phase == "train"):
with %e as %n:
with torch.autocast("cuda"):
try:
match %e:
def %f(%p):
async def %f(%p):
class %c(%b):
""".strip().splitlines()

# What a program has that means something; random statements come in between.
SKELETON = """
class Net(nn.Module):
    def __init__(self, freeze=True):
        super().__init__()
        self.backbone = models.resnet18(pretrained=True)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 2))
        if freeze:
            for p in self.backbone.parameters():
                p.requires_grad = False

    def forward(self, x):
        with torch.no_grad():
            x = self.backbone(x)
        return self.head(x)
--
class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.backbone = MODEL
        self.backbone.requires_grad_(False)

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.backbone(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(~.parameters(), lr=1e-3)
--
def freeze(model):
    for name, p in model.named_parameters():
        if %e:
            p.requires_grad = False
--
def train(model, optimizer, loader=None):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
--
model = MODEL
for p in ~.parameters():
    p.requires_grad = False
--
model = MODEL
freeze(~)
--
model = Net()
--
optimizer = torch.optim.SGD(~.parameters(), lr=0.1)
--
optimizer = optim.Adam(filter(lambda p: p.requires_grad, model.parameters()))
--
for epoch in range(3):
    model.train()
    if epoch == 1:
        ~.requires_grad_(True)
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
--
train(model, optimizer, [])
""".strip().split("\n--\n")

NAMES = "model net backbone loss out x y p params epoch i data result cfg value table head a b state".split()
FUNCTIONS = "freeze unfreeze train build forward training_step configure_optimizers fit evaluate main set_mode".split()
METHODS = [*FUNCTIONS, "__init__", "eval", "parameters", "on_train_epoch_start", "__call__", "named_parameters"]
BASES = "nn.Module pl.LightningModule object Net nn.Sequential Trainer torch.autograd.Function %n".split()
PATTERNS = ["_", "%n", "1", '"a"', "None", "[x, *rest]", '{"k": v, **more}', "Net(a=1)", "1 | 2", "(a, b) as %n", "p.q"]
DECORATORS = "torch.no_grad() torch.inference_mode() staticmethod classmethod property torch.compile %n %n(1)".split()


def program(random: Random, most: int = 40) -> dict[str, str]:
    """The files of a program by name; `main.py` is always there. `most` is about how many statements one may have."""
    files = {"main.py": _Writer(random, most).file()}
    if random.random() < 0.3:
        files["other.py"] = _Writer(random, most).file()
    return files


class _Writer:
    def __init__(self, random: Random, most: int) -> None:
        self.random = random
        self.left = random.randint(3, most)  # statements

    def file(self) -> str:
        """One file that parses: what Python refuses (a return outside, two starred names) is left out."""
        head = self.random.sample(IMPORTS, self.random.randint(1, 6))
        head.sort(key=lambda line: not line.startswith("from __future__"))
        lines = [*head, ""]
        meant = [at for at in range(len(SKELETON)) if self.random.random() < 0.5] if self.random.random() < 0.6 else []
        while self.left > 0 or meant:
            sense = bool(meant) and self.random.random() < 0.5
            piece = self.filled(SKELETON[meant.pop(0)]).splitlines() if sense else self.statement(0, "")
            if self.parses(piece):
                lines += piece
        if self.random.random() < 0.3:
            lines += ['if __name__ == "__main__":', f"    {self.random.choice(FUNCTIONS)}({self.expression(1)})"]
        text = "\n".join(lines) + "\n"
        return text if self.parses(lines) else "import torch\nloss.backward()\n"

    @staticmethod
    def parses(lines: list[str]) -> bool:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError:
            return False
        return True

    def statement(self, depth: int, inside: str) -> list[str]:
        self.left -= 1
        pad = "    " * depth
        if depth < 5 and self.random.random() < (0.45 if depth < 2 else 0.25):
            return self.compound(depth, inside)
        if inside in ("def", "loop") and self.random.random() < 0.15:
            jumps = ["return", "return %e", "yield %e", "x = yield", "return model, optimizer", "global model"]
            text = self.random.choice(jumps if inside == "def" else ["break", "continue"])
        else:
            text = self.random.choice(SIMPLE)
        return [pad + self.filled(text)]

    def compound(self, depth: int, inside: str) -> list[str]:
        pad = "    " * depth
        head = self.random.choice(COMPOUND)
        if inside == "class" and self.random.random() < 0.8:
            head = "def %m(self, %p):"
        word = head.removeprefix("async ").split()[0].rstrip(":")
        within = word if word in ("def", "class") else "loop" if word in ("for", "while") else inside
        lines: list[str] = []
        if word in ("def", "class") and self.random.random() < 0.2:
            lines.append(f"{pad}@{self.filled(self.random.choice(DECORATORS))}")
        if inside == "def" and "async" not in head and word in ("for", "with") and self.random.random() < 0.1:
            head = f"async {head}"
        lines.append(pad + self.filled(head))
        if word == "match":
            for _ in range(self.random.randint(1, 3)):
                guard = f" if {self.expression(1)}" if self.random.random() < 0.3 else ""
                lines.append(f"{pad}    case {self.filled(self.random.choice(PATTERNS))}{guard}:")
                lines += self.body(depth + 2, inside)
            return lines
        lines += self.body(depth + 1, within)
        if word == "try":
            for clause in self.random.choice(
                (["except Exception as %n:"], ["finally:"], ["except:", "else:", "finally:"], ["except* ValueError:"])
            ):
                lines.append(pad + self.filled(clause))
                lines += self.body(depth + 1, "")
        elif word == "if":
            while self.random.random() < 0.3:
                lines += [f"{pad}elif {self.expression(1)}:", *self.body(depth + 1, within)]
        if word in ("if", "for", "while") and self.random.random() < 0.3:
            lines += [f"{pad}else:", *self.body(depth + 1, inside)]
        return lines

    def body(self, depth: int, inside: str) -> list[str]:
        lines: list[str] = []
        for _ in range(self.random.randint(1, 4)):
            lines += self.statement(depth, inside)
        return lines

    def filled(self, text: str) -> str:
        """A template with something in every gap."""
        random = self.random
        gaps = {
            "~": lambda: random.choice(PARTS),
            "MODEL": lambda: random.choice(MODELS),
            "%n": lambda: random.choice(NAMES),
            "%f": lambda: random.choice(FUNCTIONS),
            "%m": lambda: random.choice(METHODS),
            "%c": lambda: random.choice(("Net", "Trainer", "Head", "Config")),
            "%b": lambda: self.filled(random.choice(BASES)),
            "%p": lambda: random.choice(("", "model", "model, optimizer=None", "*args, **kwargs", "x, /, y, *, z=1")),
            "%e": lambda: self.expression(random.randint(0, 2)),
        }
        for gap, what in gaps.items():
            while gap in text:
                text = text.replace(gap, what(), 1)
        return text

    def expression(self, depth: int) -> str:
        random = self.random
        if depth <= 0 or random.random() < 0.2:
            return self.filled(random.choice(ATOMS))
        one, other = (self.expression(depth - 1) for _ in range(2))
        return random.choice(
            (
                f"({one} {random.choice('+ - * / // % @ ** & | == != < in is and or'.split())} {other})",
                f"(not {one})",
                f"-{one}",
                f"{self.filled('~')}.{random.choice(NAMES)}",
                f"{self.filled('~')}.parameters()",
                f"{random.choice(FUNCTIONS)}({one}, k={other})",
                f"{random.choice(NAMES)}(*{one}, **{other})",
                f"({one})[{other}]",
                f"({one})[{other}:]",
                f"[{one}, {other}]",
                f"({one},)",
                f"{{{one}: {other}}}",
                f"[{one} for i in {other} if i]",
                f"{{k: {one} for k, v in ({other}).items()}}",
                f"sum(({one}) for p in {self.filled('~')}.parameters())",
                f"({one} if {other} else FLAG)",
                f"(lambda m: {one})({other})",
                f"(value := {one})",
                f'f"{{{random.choice(NAMES)}}}.layer"',
                self.filled(random.choice(MODELS)),
            )
        )
