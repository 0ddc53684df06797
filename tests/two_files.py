"""A program of two files with a fault in each: a misspelled flag, and an unfreeze that no optimizer hears of."""

MODEL = """\
import torch


def build():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    net[0].weight.require_grad = False
    return net
"""
TRAIN = """\
import torch
from model import build

net = build()
for p in net[0].parameters():
    p.requires_grad = False
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
for epoch in range(9):
    if epoch == 3:
        for p in net[0].parameters():
            p.requires_grad = True
    optimizer.zero_grad()
    net(torch.randn(2, 2)).sum().backward()
    optimizer.step()
"""
