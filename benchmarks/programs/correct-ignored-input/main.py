"""Each tower is given its half."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Linear(6, 3)
        self.right = nn.Linear(6, 3)

    def forward(self, x):
        first, second = x[:, :6], x[:, 6:]
        return self.left(first) + self.right(second)


generator = torch.Generator().manual_seed(0)
batches = [(torch.randn(8, 12, generator=generator), torch.randint(0, 3, (8,), generator=generator)) for _ in range(4)]
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for x, y in batches:
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
