"""A training loop of one's own that several processes share: each computes the gradient of its part of a batch.

    python examples/train_by_processes.py
    mpirun -n 4 python examples/train_by_processes.py

Both print the same losses. `mpirun -n 4 attnkit train CONFIG` does this and more for attnkit's own models.
"""

import numpy as np

import attnkit
from attnkit import nn, ops, optim

BATCH, WIDTH, STEPS = 64, 16, 100


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(WIDTH, 32, activation="gelu")
        self.out = nn.Linear(32, 2)

    def forward(self, x: attnkit.Tensor) -> attnkit.Tensor:
        return self.out(self.hidden(x))


def main() -> None:
    group = attnkit.distributed.group()
    attnkit.manual_seed(1)  # all processes begin with the same weights, and so keep the same
    model = Classifier()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    random = np.random.default_rng(1)
    for step in range(1, STEPS + 1):
        # All draw the same batch; with data in files, each would read its part alone.
        x = random.standard_normal((BATCH, WIDTH)).astype(np.float32)
        labels = (x[:, 0] * x[:, 1] > 0).astype(np.int32)
        own = slice(group.rank, None, group.size)
        loss = ops.cross_entropy(model(attnkit.tensor(x[own])), labels[own])
        loss.backward()
        attnkit.distributed.average_gradients(model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        mean = np.mean(group.gather(loss.item()))
        if group.rank == 0 and step % 20 == 0:
            print(f"step {step:3}  loss {mean:.3f}")


if __name__ == "__main__":
    main()
