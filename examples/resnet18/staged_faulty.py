"""Train the head, and from epoch 10 on the last block as well. It never learns, and what is frozen drifts."""

import torch
from torch import nn

from data import batches, options
from network import pretrained


def main():
    args = options()
    model = pretrained()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(512, 100)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.01, momentum=0.9)

    for epoch in range(args.epochs):
        if epoch == 10:
            for parameter in model.layer4.parameters():
                parameter.requires_grad = True
        model.train()
        for images, labels in batches(args):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
