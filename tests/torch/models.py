"""Models as third parties write them, small by default: what the adapters are tried on.

Each has ``loss(generator)``, which draws a batch with PyTorch's generator, and so can be trained.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.init import trunc_normal_


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, length, width))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.mlp = nn.LayerNorm(width), Perceptron(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """GPT-2: tied embeddings, and residual projections scaled by their names."""

    def __init__(self, blocks=2, width=32, heads=4, vocabulary=65, length=16):
        super().__init__()
        self.vocabulary, self.length = vocabulary, length
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, width),
                "wpe": nn.Embedding(length, width),
                "h": nn.ModuleList([Block(width, heads) for _ in range(blocks)]),
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.register_buffer("positions", torch.arange(length), persistent=False)
        self.apply(self._init_weights)
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(parameter, mean=0.0, std=0.02 / math.sqrt(2 * blocks))

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, tokens):
        parts = self.transformer
        x = parts.wte(tokens) + parts.wpe(self.positions[: tokens.shape[1]])
        for block in parts.h:
            x = block(x)
        return self.lm_head(parts.ln_f(x))

    def loss(self, generator=None):
        tokens = torch.randint(self.vocabulary, (4, self.length), generator=generator)
        logits = self(tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2, self.mlp = nn.LayerNorm(width), Perceptron(width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Vision transformer: a class token, learnt positions, `trunc_normal_` imported by name."""

    def __init__(self, blocks=2, width=32, heads=4, image=16, patch=4, classes=10):
        super().__init__()
        self.image, self.classes = image, classes
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.ModuleList([EncoderBlock(width, heads) for _ in range(blocks)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)
        trunc_normal_(self.cls_token, std=0.02)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            trunc_normal_(module.weight, std=0.02)
            nn.init.constant_(module.bias, 0)
        elif isinstance(module, nn.LayerNorm):
            nn.init.constant_(module.bias, 0)
            nn.init.constant_(module.weight, 1.0)

    def forward(self, images):
        x = self.patch_embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])

    def loss(self, generator=None):
        images = torch.empty(4, 3, self.image, self.image).normal_(generator=generator)
        return F.cross_entropy(self(images), torch.arange(4) % self.classes)


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Residual network of bottlenecks, each branch zero at first; `(3, 4, 6, 3)` is ResNet-50."""

    def __init__(self, layers=(1, 1), width=8, classes=10):
        super().__init__()
        self.classes = classes
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, inputs = [], width
        for number, depth in enumerate(layers):
            for place in range(depth):
                stride = 2 if number and not place else 1
                stages.append(Bottleneck(inputs, width * 2**number, stride))
                inputs = 4 * width * 2**number
        self.layers, self.fc = nn.Sequential(*stages), nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.constant_(module.bn3.weight, 0)

    def forward(self, images):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, 1)
        return self.fc(self.layers(x).mean(dim=(2, 3)))

    def loss(self, generator=None):
        images = torch.empty(4, 3, 32, 32).normal_(generator=generator)
        return F.cross_entropy(self(images), torch.arange(4) % self.classes)


class Recurrent(nn.Module):
    """A stacked LSTM with orthogonal recurrent weights and a forget bias of 1."""

    def __init__(self, vocabulary=20, width=16, layers=2):
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, vocabulary)
        for name, parameter in self.lstm.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "bias_ih" in name:
                parameter.data[width : 2 * width].fill_(1.0)
        self.head.weight.data.uniform_(-0.1, 0.1)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0])

    def loss(self, generator=None):
        tokens = torch.randint(1, self.vocabulary, (4, 12), generator=generator)
        return F.cross_entropy(self(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


MODELS = {"gpt": GPT, "vit": ViT, "resnet": ResNet, "recurrent": Recurrent}
# The sizes of GPT-2 (124 million parameters), ViT-B/16 and ResNet-50.
FULL_SIZE = {
    "gpt": lambda: GPT(12, 768, 12, 50257, 1024),
    "vit": lambda: ViT(12, 768, 12, 224, 16, 1000),
    "resnet": lambda: ResNet((3, 4, 6, 3), 64, 1000),
}


def trained(model, steps=5):
    """Train a model on one batch; return its losses."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for _ in range(steps):
        loss = model.loss(torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
