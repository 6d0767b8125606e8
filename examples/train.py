"""Train a registered network on a folder of images; requires `pip install "srblocks[train]"`.

    python examples/train.py fsrcnn --scale 2 --data T91 --validate Set5 --out runs/fsrcnn_x2
    torchrun --nproc-per-node 2 examples/train.py ...
    fabric run --devices 2 --accelerator cpu examples/train.py ...

Image pairs come from MATLAB-compatible downscaling, with random crops, flips, rotations and rescaled copies. The
optimizer is Adam with a cosine schedule. An exponential moving average of the weights is validated and saved. Training
can be resumed from its checkpoint.

Several processes, on one machine or on several that share `--out`, compute the same weights as one process up to
rounding, and any number of processes can resume a run. Batch normalization uses the statistics of the full batch on
GPUs and those of each process on CPUs.
"""

import argparse
import atexit
import hashlib
import json
import logging
import os
import sys
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

try:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException as DeviceError
except ImportError as error:
    print(f'train.py: {error}; pip install "srblocks[train]"', file=sys.stderr)
    sys.exit(4)

from srblocks import Network, create_network, save_checkpoint
from srblocks._utils.arguments import parse_argument
from srblocks._utils.files import atomic_path
from srblocks.checkpoints import WrongScaleError, load_weights
from srblocks.color import rgb_to_y
from srblocks.evaluate import image_files, read_image
from srblocks.inference import UpscaleError, from_network
from srblocks.losses import CharbonnierLoss, SupervisedLoss
from srblocks.metrics import psnr
from srblocks.networks import network_spec
from srblocks.resize import downscaled_pair, imresize

LOSSES = {"l1": nn.L1Loss, "l2": nn.MSELoss, "charbonnier": CharbonnierLoss}
EXPECTED = (ValueError, TypeError, OSError, RuntimeError, KeyError, UnpicklingError, UpscaleError, DeviceError)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a super-resolution network on a folder of images.")
    parser.add_argument("network", help="registry name, see srblocks.list_networks()")
    parser.add_argument("--scale", type=count, required=True, help="scale factor")
    parser.add_argument("--data", type=Path, required=True, help="folder of high-resolution images")
    parser.add_argument("--validate", type=Path, help="folder of images for reporting PSNR")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors, state.pt and log.jsonl")
    parser.add_argument("--init", type=Path, help="checkpoint to start from, in any known layout")
    parser.add_argument(
        "--arg", action="append", default=[], metavar="KEY=VALUE", help="constructor argument of the network"
    )
    parser.add_argument("--steps", type=count, default=20_000, help="training steps")
    parser.add_argument("--stop-at", type=count, help="stop after this step; continue with --resume")
    parser.add_argument("--batch", type=count, default=16, help="crops per step over all processes")
    parser.add_argument("--patch", type=count, default=32, help="size of a crop in low-resolution pixels")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--loss", choices=LOSSES, default="l1")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=count, help="CPU threads of torch")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=os.getenv("LT_ACCELERATOR", device))  # `fabric run` sets the variable
    parser.add_argument("--every", type=count, default=1000, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="continue from state.pt in --out")
    return parser.parse_args()


def count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text}")
    return number


def join_processes(device: str) -> Fabric:
    """Join the processes started by torchrun or `fabric run`, if any."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    started = os.environ if "TORCHELASTIC_RUN_ID" in os.environ else {}
    here, everywhere = (int(started.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    accelerator, _, index = device.partition(":")
    devices = [int(index)] if index else os.environ.get("LT_DEVICES", here)
    strategy = (
        DDPStrategy(static_graph=True) if everywhere > 1 else "auto"
    )  # static graph: some weights may have no gradient
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=everywhere // here, strategy=strategy)
    if "LT_CLI_USED" not in os.environ:
        fabric.launch()
    if torch.distributed.is_initialized():
        atexit.register(torch.distributed.destroy_process_group)  # its threads would abort some exits
    return fabric


def read_images(folder: Path, least: int = 1) -> list[np.ndarray]:
    """Read the images of a folder, which must have at least `least` pixels per side."""
    images = []
    for path in image_files(folder):
        try:
            images.append(read_image(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if min(images[-1].shape[:2]) < least:
            raise ValueError(f"{path}: images must have at least {least} pixels per side; remove it")
    return images


def make_pair(image: np.ndarray, scale: int, channels: int) -> list[np.ndarray]:
    """Return the low- and high-resolution image, each (H, W, C) in [0, 1]; one channel is luma."""
    values = [rgb_to_y(each)[..., None] if channels == 1 else each / 255 for each in downscaled_pair(image, scale)]
    return [each.astype(np.float32) for each in values]


def build_network(args: argparse.Namespace) -> Network:
    """Build the network; the checkpoint to start from may have another scale if its layers match."""
    config = dict(parse_argument(pair, network_spec(args.network)) for pair in args.arg)
    try:
        net = create_network(args.network, scale=args.scale, weights=args.init, **config)
    except WrongScaleError:
        net = create_network(args.network, scale=args.scale, **config)
        load_weights(net, args.init, same_config=False)
    if net.color not in ("y", "rgb"):
        raise ValueError(f"the color of the network must be y or rgb, got {net.color}")
    return net


class Crops:
    """Random aligned crops of image pairs with flips and rotations, sampled in proportion to the area of an image."""

    def __init__(self, images: list[np.ndarray], scale: int, channels: int, patch: int) -> None:
        copies = [imresize(image, factor) for image in images for factor in (0.9, 0.8, 0.7, 0.6)]
        large = [image for image in [*images, *copies] if min(image.shape[:2]) >= patch * scale]
        if not large:
            raise ValueError(f"no image has {patch * scale} pixels per side; use a smaller --patch")
        pairs = [make_pair(image, scale, channels) for image in large]
        self.pairs = [[torch.tensor(each.transpose(2, 0, 1)) for each in pair] for pair in pairs]
        areas = torch.tensor([float(low[0].numel()) for low, _ in self.pairs])
        self.weights = areas / areas.sum()
        self.scale, self.patch = scale, patch

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sample low- and high-resolution crops, each (size, C, side, side)."""
        drawn = torch.multinomial(self.weights, size, True, generator=generator)
        low, high = zip(*(self._crop(*self.pairs[int(index)], generator) for index in drawn), strict=True)
        return torch.stack(low), torch.stack(high)

    def _crop(self, low: Tensor, high: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        top, left = (int(torch.randint(side - self.patch + 1, (), generator=generator)) for side in low.shape[1:])
        turn, flip = divmod(int(torch.randint(8, (), generator=generator)), 2)

        def cut(image: Tensor, factor: int) -> Tensor:
            side = self.patch * factor
            crop = image[:, top * factor : top * factor + side, left * factor : left * factor + side]
            return torch.rot90(crop.flip(2) if flip else crop, turn, (1, 2))

        return cut(low, 1), cut(high, self.scale)


class Training:
    """Training state; a checkpoint stores all of it."""

    def __init__(self, args: argparse.Namespace, fabric: Fabric) -> None:
        self.args, self.fabric, self.step = args, fabric, 0
        self.generator = torch.Generator().manual_seed(args.seed)
        net = build_network(args).float().train()
        if args.patch < net.min_size or args.patch % net.size_multiple:
            raise ValueError(
                f"--patch must be a multiple of {net.size_multiple} and at least {net.min_size}, got {args.patch}"
            )
        args.init_sha256 = hashlib.sha256(args.init.read_bytes()).hexdigest() if args.init else None
        self.average = AveragedModel(net, fabric.device, multi_avg_fn=get_ema_multi_avg_fn(args.ema))
        self.upscale = from_network(self.average.module, "average", device=str(fabric.device))
        whole_batch = fabric.world_size > 1 and fabric.device.type == "cuda"
        self.net = nn.SyncBatchNorm.convert_sync_batchnorm(net) if whole_batch else net
        adam = torch.optim.Adam(self.net.parameters(), lr=args.lr)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, args.steps, eta_min=args.lr / 100)
        self.model, self.optimizer = fabric.setup(self.net, adam)
        self.model.mark_forward_method("intermediate_outputs")
        self.loss_of = SupervisedLoss(LOSSES[args.loss]())
        self.parts = {name: getattr(self, name) for name in ("net", "average", "optimizer", "schedule")}

    def update(self, pair: tuple[Tensor, Tensor]) -> float:
        """Run one step on this process's share of a batch; return the loss of the full batch."""
        share = slice(self.fabric.global_rank, None, self.fabric.world_size)
        low, high = (images[share].to(self.fabric.device) for images in pair)
        loss = self.loss_of(self.model.intermediate_outputs(low), high)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.net)
        self.step += 1
        return self.fabric.all_reduce(loss.detach()).item()

    def validate(self, pairs: list[list[np.ndarray]]) -> float | None:
        """Return the mean PSNR in dB, with `scale` border pixels cropped; None without images."""
        values = [psnr(self.upscale(low), high, crop_border=self.args.scale) for low, high in pairs]
        return float(np.mean(values)) if values else None

    def save(self, loss: float, value: float | None) -> None:
        """Write the averaged network, the state for resuming and a line of the log."""
        arguments = {name: v.name if isinstance(v, Path) else v for name, v in vars(self.args).items()}
        save_checkpoint(self.average.module, self.args.out / "model.safetensors", record={"training": arguments})
        state: dict[str, object] = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"step": self.step, "config": self.net.config, "generator": self.generator.get_state()}
        with atomic_path(self.args.out / "state.pt") as temporary:
            torch.save(state, temporary)
        with (self.args.out / "log.jsonl").open("a") as log:
            log.write(json.dumps({"step": self.step, "loss": loss, "psnr": value}) + "\n")

    def resume(self) -> None:
        """Restore the state of an earlier run."""
        saved = torch.load(self.args.out / "state.pt", map_location=self.fabric.device, weights_only=True)
        if saved["config"] != self.net.config:
            raise ValueError(f"{self.args.out}/state.pt belongs to another network or scale; use another --out")
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
        fabric = join_processes(args.device)
        if args.batch % fabric.world_size:
            raise ValueError(f"--batch must be a multiple of the {fabric.world_size} processes, got {args.batch}")
        training = Training(args, fabric)
        channels = training.net.image_channels
        crops = Crops(read_images(args.data), args.scale, channels, args.patch)
        held_out = read_images(args.validate, 3 * args.scale) if args.validate and fabric.is_global_zero else []
        pairs = [make_pair(image, args.scale, channels) for image in held_out]
        training.validate(pairs)  # fail now instead of after an hour if an image is invalid
        args.out.mkdir(parents=True, exist_ok=True)
        if args.resume:
            training.resume()
        elif (args.out / "state.pt").exists():
            raise ValueError(f"{args.out} already contains a run; continue with --resume, or use another --out")
    except EXPECTED as error:
        print(f"train.py: {error}", file=sys.stderr)
        sys.exit(2)
    last = min(args.steps, args.stop_at or args.steps)
    with Progress(disable=not fabric.is_global_zero) as progress:
        task = progress.add_task(args.network, total=args.steps, completed=training.step)
        while training.step < last:
            loss = training.update(crops.batch(args.batch, training.generator))
            progress.update(task, completed=training.step, description=f"{training.step}/{args.steps}: loss {loss:.5f}")
            if fabric.is_global_zero and (training.step % args.every == 0 or training.step == last):
                value = training.validate(pairs)
                training.save(loss, value)
                progress.print(f"step {training.step}: loss {loss:.5f}" + (f", {value:.3f} dB" if value else ""))


if __name__ == "__main__":
    main()
