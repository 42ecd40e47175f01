"""A GPT under FSDP2: built on the meta device, initialized in shards, trained, saved, reloaded.

    torchrun --nproc-per-node 2 examples/fsdp_gpt.py --save checkpoint
    torchrun --nproc-per-node 3 examples/fsdp_gpt.py --load checkpoint

Each rank makes its shards alone, with the values that they have in the whole model: the hash of the
first weights is the same on any number of ranks. The second command has the weights of the first.
"""

import argparse
import hashlib
import math
import os

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional

from fastinit.torch import materialize, recipes

WORDS, LENGTH = 31, 24


class Block(nn.Module):
    """Attention and a perceptron, each behind a normalization, beside the residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.attn_c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what leaves the block."""
        parts = self.c_attn(self.ln_1(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_c_proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_c_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class GPT(nn.Module):
    """A decoder with learnt positions, and one matrix for the words that come in and go out."""

    def __init__(self, blocks: int, width: int, heads: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, width), nn.Embedding(LENGTH, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, WORDS, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits of the word that follows each."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x)).clone()


def sharded(blocks: int, width: int, heads: int) -> nn.Module:
    """Return the model, sharded over all ranks, with no values yet."""
    with torch.device("meta"):
        model = GPT(blocks, width, heads)
    mesh = init_device_mesh(
        "cuda" if torch.cuda.is_available() else "cpu", (dist.get_world_size(),)
    )
    for block in model.h:
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def fingerprint(model: nn.Module) -> str:
    """Return a hash of all values, for which every rank gathers one parameter after the other."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().full_tensor().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def batch(step: int, device: torch.device) -> torch.Tensor:
    """Return sequences that count by one, two or three."""
    generator = torch.Generator().manual_seed(1000 * step + dist.get_rank())
    first = torch.randint(WORDS, (16, 1), generator=generator)
    by = torch.randint(1, 4, (16, 1), generator=generator)
    return ((first + by * torch.arange(LENGTH + 1)) % WORDS).to(device)


def train(model: nn.Module, steps: int) -> list[float]:
    """Train the model; return the mean loss of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    device = next(model.parameters()).device
    losses = []
    for step in range(steps):
        tokens = batch(step, device)
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach()
        dist.all_reduce(mean)
        losses.append(mean.item() / dist.get_world_size())
    return losses


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", metavar="FOLDER", help="where the trained weights go")
    parser.add_argument(
        "--load", metavar="FOLDER", help="where they come from; then none is trained"
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    arguments = parser.parse_args()

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    if torch.cuda.is_available():
        torch.cuda.set_device(dist.get_rank() % torch.cuda.device_count())

    def say(text: str) -> None:
        if dist.get_rank() == 0:
            print(text, flush=True)

    model = sharded(arguments.blocks, arguments.width, heads=4)
    materialize(model, seed=0, recipe=recipes.gpt2(arguments.blocks))
    total = sum(parameter.numel() for parameter in model.parameters())
    own = sum(parameter.to_local().numel() for parameter in model.parameters())
    say(f"{dist.get_world_size()} ranks, {own} of {total} parameters on the first")
    say(f"first weights {fingerprint(model)}")
    if arguments.load:
        state = get_model_state_dict(model)
        dcp.load(state, checkpoint_id=arguments.load)
        set_model_state_dict(model, state)
        say(f"loaded weights {fingerprint(model)}")
    else:
        losses = train(model, arguments.steps)
        say(f"loss {losses[0]:.3f}, after {len(losses)} steps {losses[-1]:.3f}")
        say(f"a guess has {math.log(WORDS):.3f}")
        say(f"trained weights {fingerprint(model)}")
    if arguments.save:
        dcp.save(get_model_state_dict(model), checkpoint_id=arguments.save)
        say(f"saved in {arguments.save}")
    dist.barrier()  # none leaves while another's work is under way
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
