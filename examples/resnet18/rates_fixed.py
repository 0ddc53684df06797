"""A learning rate for each depth, and the largest for the new head."""

import torch
from torch import nn

from data import batches, options
from network import pretrained


def by_depth(model, rate):
    """The deeper, the smaller."""
    parts = [model.fc, model.layer4, model.layer3, model.layer2, model.layer1, model.bn1, model.conv1]
    return [{"params": part.parameters(), "lr": rate / 2**depth} for depth, part in enumerate(parts)]


def main():
    args = options()
    model = pretrained()
    model.fc = nn.Linear(512, 100)
    optimizer = torch.optim.SGD(by_depth(model, 0.01), lr=0.01, momentum=0.9)

    for epoch in range(args.epochs):
        model.train()
        for images, labels in batches(args):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
