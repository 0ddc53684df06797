"""Fine-tune the head, then the last stage of the backbone as well."""

import torch

from engine import evaluate, train_one_epoch
from model import Classifier, freeze, unfreeze_last_stage

CLASSES, EPOCHS, WARM_UP = 4, 4, 1


def batches(count):
    """Made-up images and labels."""
    return [(torch.randn(16, 3, 32, 32), torch.randint(CLASSES, (16,))) for _ in range(count)]


def main():
    training, validation = batches(2), batches(1)
    model = Classifier(CLASSES)
    freeze(model)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=0.01)

    model.train()
    for epoch in range(EPOCHS):
        if epoch == WARM_UP:
            unfreeze_last_stage(model)
        train_one_epoch(model, training, optimizer)
        print(f"epoch {epoch}: accuracy {evaluate(model, validation):.2f}")


if __name__ == "__main__":
    main()
