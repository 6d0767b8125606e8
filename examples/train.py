"""Train a network of the registry on a folder of images.

    python examples/train.py fsrcnn --scale 2 --data T91 --validate Set5 --out runs/fsrcnn_x2

The loop is short on purpose: pairs by MATLAB-exact bicubic reduction, random crops, flips, rotations and rescaled
copies, Adam with a cosine schedule, an exponential moving average of the weights (which is what is validated and
saved), a checkpoint that can be resumed. Runs on a GPU when there is one.
"""

import argparse
import hashlib
import json
import pickle
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from PIL import Image
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srblocks import create_network, load_weights, network_spec, save_checkpoint
from srblocks.files import atomic_path
from srblocks.losses import CharbonnierLoss, SupervisedLoss
from srblocks.protocol import imresize, psnr, reduced_pair, rgb_to_y

SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}
LOSSES = {"l1": nn.L1Loss, "l2": nn.MSELoss, "charbonnier": CharbonnierLoss}
Pair = tuple[Tensor, Tensor]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a super-resolution network on a folder of images.")
    parser.add_argument("network", help="a name of srblocks.list_networks()")
    parser.add_argument("--scale", type=count, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of high-resolution images")
    parser.add_argument("--validate", type=Path, help="folder of images to report PSNR on; it does not choose weights")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors, state.pt and log.jsonl")
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--steps", type=count, default=20_000)
    parser.add_argument("--stop-at", type=count, help="stop after this step; --resume goes on from there")
    parser.add_argument("--batch", type=count, default=16)
    parser.add_argument("--patch", type=count, default=32, help="side of a training crop in low-resolution pixels")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--loss", choices=LOSSES, default="l1")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=count, help="CPU threads of torch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--every", type=count, default=1000, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from state.pt in --out")
    return parser.parse_args()


def count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def fail(message: object) -> NoReturn:
    print(f"train.py: {message}", file=sys.stderr)
    sys.exit(2)


def read_images(folder: Path) -> list[np.ndarray]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        fail(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))})")
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def make_pair(image: np.ndarray, scale: int, channels: int) -> Pair:
    """Low and high resolution of one image as (C, H, W) tensors in [0, 1]; one channel is luma."""
    tensors = []
    for picture in reduced_pair(image, scale):
        values = rgb_to_y(picture)[..., None] if channels == 1 else picture / 255
        tensors.append(torch.tensor(values.transpose(2, 0, 1), dtype=torch.float32))
    return tensors[0], tensors[1]


class Crops:
    """Random aligned crops of image pairs, flipped and rotated, drawn in proportion to the images' areas."""

    def __init__(self, images: list[np.ndarray], scale: int, channels: int, patch: int) -> None:
        copies = [imresize(image, factor) for image in images for factor in (0.9, 0.8, 0.7, 0.6)]
        pairs = [make_pair(image, scale, channels) for image in [*images, *copies]]
        self.pairs = [pair for pair in pairs if min(pair[0].shape[1:]) >= patch]
        if not self.pairs:
            fail(f"no image has {patch * scale} pixels per side; use a smaller --patch")
        areas = torch.tensor([float(low[0].numel()) for low, _ in self.pairs])
        self.weights = areas / areas.sum()
        self.scale, self.patch = scale, patch

    def batch(self, size: int, generator: torch.Generator) -> Pair:
        """Draw low- and high-resolution crops, each (size, C, side, side)."""
        drawn = torch.multinomial(self.weights, size, True, generator=generator)
        crops = [self._crop(*self.pairs[int(index)], generator) for index in drawn]
        return torch.stack([low for low, _ in crops]), torch.stack([high for _, high in crops])

    def _crop(self, low: Tensor, high: Tensor, generator: torch.Generator) -> Pair:
        top, left = (int(torch.randint(side - self.patch + 1, (), generator=generator)) for side in low.shape[1:])
        turn, flip = divmod(int(torch.randint(8, (), generator=generator)), 2)

        def cut(image: Tensor, factor: int) -> Tensor:
            side = self.patch * factor
            crop = image[:, top * factor : top * factor + side, left * factor : left * factor + side]
            return torch.rot90(crop.flip(2) if flip else crop, turn, (1, 2))

        return cut(low, 1), cut(high, self.scale)


class Training:
    """Everything that a checkpoint has to bring back."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.step = 0
        self.generator = torch.Generator().manual_seed(args.seed)
        self.net = create_network(args.network, scale=args.scale)
        if args.init:
            load_weights(self.net, args.init, same_config=False)
        self.init_sha256 = hashlib.sha256(args.init.read_bytes()).hexdigest() if args.init else None
        self.net.to(args.device).train()
        self.average = AveragedModel(self.net, multi_avg_fn=get_ema_multi_avg_fn(args.ema))
        self.average.eval()
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=args.lr)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, args.steps, eta_min=args.lr / 100)
        self.loss_of = SupervisedLoss(LOSSES[args.loss]())
        self.parts = {name: getattr(self, name) for name in ("net", "average", "optimiser", "schedule")}

    def update(self, pair: Pair) -> float:
        """One step on a batch; give its loss."""
        low, high = (images.to(self.args.device) for images in pair)
        loss = self.loss_of(self.net.supervised(low), high)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.net)
        self.step += 1
        return loss.item()

    @torch.no_grad()
    def validate(self, pairs: list[Pair]) -> float | None:
        """Mean PSNR in decibels, `scale` border pixels left out; None without images."""
        figures = []
        for low, high in pairs:
            sr = self.average(low[None].to(self.args.device))[0].cpu().clamp(0, 1)
            crop = self.args.scale
            figures.append(psnr(sr.permute(1, 2, 0).numpy(), high.permute(1, 2, 0).numpy(), crop_border=crop))
        return float(np.mean(figures)) if figures else None

    def save(self, loss: float, figure: float | None) -> None:
        """Write the averaged network, the state to resume from, and a line of the log."""
        arguments = {name: v.name if isinstance(v, Path) else v for name, v in vars(self.args).items()}
        arguments["init_sha256"] = self.init_sha256
        save_checkpoint(self.average.module, self.args.out / "model.safetensors", record={"training": arguments})
        states = {name: part.state_dict() for name, part in self.parts.items()}
        with atomic_path(self.args.out / "state.pt") as temporary:
            facts = {"step": self.step, "config": self.net.config, "generator": self.generator.get_state()}
            torch.save(states | facts, temporary)
        with (self.args.out / "log.jsonl").open("a") as log:
            log.write(json.dumps({"step": self.step, "loss": loss, "psnr": figure}) + "\n")

    def resume(self) -> None:
        """Go on from the state of an earlier run."""
        saved = torch.load(self.args.out / "state.pt", map_location=self.args.device, weights_only=True)
        if saved["config"] != self.net.config:
            raise ValueError(f"{self.args.out}/state.pt is of another network or scale; use another --out")
        for name, part in self.parts.items():
            part.load_state_dict(saved[name])
        self.generator.set_state(saved["generator"].cpu())
        self.step = saved["step"]


def main() -> None:
    args = parse_arguments()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        channels = network_spec(args.network).image_channels
        images = read_images(args.data)
        held_out = (
            [make_pair(image, args.scale, channels) for image in read_images(args.validate)] if args.validate else []
        )
        crops = Crops(images, args.scale, channels, args.patch)
        training = Training(args)
        training.validate(held_out)  # whatever is wrong with these images is said now, not after an hour
        args.out.mkdir(parents=True, exist_ok=True)
        if args.resume:
            training.resume()
        elif (args.out / "state.pt").exists():
            fail(f"{args.out} holds a run already; go on with --resume, or use another --out")
    except (ValueError, OSError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        fail(error)
    last = min(args.steps, args.stop_at or args.steps)
    remark = TextColumn("{task.fields[remark]}")
    with Progress(*Progress.get_default_columns()[:3], MofNCompleteColumn(), TimeRemainingColumn(), remark) as progress:
        task = progress.add_task(args.network, total=args.steps, completed=training.step, remark="")
        while training.step < last:
            loss = training.update(crops.batch(args.batch, training.generator))
            progress.update(task, completed=training.step, remark=f"loss {loss:.5f}")
            if training.step % args.every == 0 or training.step == last:
                figure = training.validate(held_out)
                training.save(loss, figure)
                progress.print(f"step {training.step}: loss {loss:.5f}" + (f", {figure:.3f} dB" if figure else ""))


if __name__ == "__main__":
    main()
