"""Made-up images in the shape of CIFAR-100, or of ImageNet with --size 224, and how long to train on them."""

import argparse

import torch


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=32, help="of an image: 32 as in CIFAR-100, 224 as in ImageNet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=12)
    return parser.parse_args()


def batches(args):
    for _ in range(args.batches):
        yield torch.randn(args.batch, 3, args.size, args.size), torch.randint(100, (args.batch,))
