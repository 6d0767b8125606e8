"""Train a network of the registry on a folder of images.

The loop is short on purpose: pairs by MATLAB-exact bicubic reduction, random crops, flips, rotations and rescaled
copies, Adam with a cosine schedule, an exponential moving average of the weights (its weights are the ones that are
validated and saved), a checkpoint that can be resumed.

    python examples/train.py fsrcnn --scale 2 --data T91 --validate Set5 --out runs/fsrcnn_x2
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from srblocks import create_network, load_weights, network_spec, save_checkpoint
from srblocks.protocol import imresize, psnr, rgb_to_y

SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a super-resolution network.")
    parser.add_argument("network", help="a name of srblocks.list_networks()")
    parser.add_argument("--scale", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of high-resolution images")
    parser.add_argument("--validate", type=Path, help="folder of images to report PSNR on; it does not choose weights")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.safetensors and state.pt")
    parser.add_argument("--init", type=Path, help="weights to start from")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=32, help="side of a training crop in low-resolution pixels")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--loss", choices=["l1", "l2"], default="l1")
    parser.add_argument("--ema", type=float, default=0.999, help="decay of the averaged weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads of torch")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--every", type=int, default=1000, help="steps between checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from state.pt in --out")
    return parser.parse_args()


def read_images(folder: Path) -> list[np.ndarray]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"{folder}: no images ({', '.join(sorted(SUFFIXES))})")
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def make_pair(image: np.ndarray, scale: int, channels: int) -> tuple[Tensor, Tensor]:
    """Low and high resolution of one image as (C, H, W) tensors in [0, 1]."""
    height, width = (side // scale * scale for side in image.shape[:2])
    high = image[:height, :width]
    low = imresize(high, 1 / scale)
    pair = (rgb_to_y(low)[None], rgb_to_y(high)[None]) if channels == 1 else (low / 255, high / 255)
    arrays = pair if channels == 1 else tuple(array.transpose(2, 0, 1) for array in pair)
    return torch.tensor(arrays[0], dtype=torch.float32), torch.tensor(arrays[1], dtype=torch.float32)


class Crops:
    """Random aligned crops of image pairs, flipped and rotated, drawn in proportion to the images' areas."""

    def __init__(self, images: list[np.ndarray], scale: int, channels: int, patch: int) -> None:
        copies = [imresize(image, factor) for image in images for factor in (0.9, 0.8, 0.7, 0.6)]
        pairs = [make_pair(image, scale, channels) for image in [*images, *copies]]
        self.pairs = [pair for pair in pairs if min(pair[0].shape[1:]) >= patch]
        if not self.pairs:
            raise SystemExit(f"no image is larger than {patch * scale} pixels; use a smaller --patch")
        areas = torch.tensor([float(low[0].numel()) for low, _ in self.pairs])
        self.weights = areas / areas.sum()
        self.scale, self.patch = scale, patch

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw low- and high-resolution crops, each (size, C, side, side)."""
        crops = [
            self._crop(int(index), generator)
            for index in torch.multinomial(self.weights, size, True, generator=generator)
        ]
        return torch.stack([low for low, _ in crops]), torch.stack([high for _, high in crops])

    def _crop(self, index: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        low, high = self.pairs[index]
        top, left = (int(torch.randint(side - self.patch + 1, (), generator=generator)) for side in low.shape[1:])
        turn, flip = divmod(int(torch.randint(8, (), generator=generator)), 2)

        def cut(image: Tensor, factor: int) -> Tensor:
            side = self.patch * factor
            crop = image[:, top * factor : top * factor + side, left * factor : left * factor + side]
            return torch.rot90(crop.flip(2) if flip else crop, turn, (1, 2))

        return cut(low, 1), cut(high, self.scale)


@torch.no_grad()
def validate(net: nn.Module, pairs: list[tuple[Tensor, Tensor]], scale: int, device: str) -> float:
    """Mean PSNR in decibels, `scale` border pixels left out."""
    figures = []
    for low, high in pairs:
        sr = net(low[None].to(device))[0].cpu().clamp(0, 1)
        figures.append(psnr(sr.permute(1, 2, 0).numpy(), high.permute(1, 2, 0).numpy(), crop_border=scale))
    return float(np.mean(figures))


def main() -> None:
    args = parse_arguments()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(args.seed)
    net = create_network(args.network, scale=args.scale)
    if args.init:
        load_weights(net, args.init)
    net.to(args.device).train()
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(args.ema))
    optimiser = torch.optim.Adam(net.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, args.steps, eta_min=args.lr / 100)
    loss_of = nn.L1Loss() if args.loss == "l1" else nn.MSELoss()
    args.out.mkdir(parents=True, exist_ok=True)
    state_file = args.out / "state.pt"
    states = {"net": net, "average": average, "optimiser": optimiser, "schedule": schedule}
    step = 0
    if args.resume and state_file.exists():
        saved = torch.load(state_file, map_location=args.device, weights_only=True)
        for name, part in states.items():
            part.load_state_dict(saved[name])
        generator.set_state(saved["generator"].cpu())
        step = saved["step"]

    channels = network_spec(args.network).image_channels
    crops = Crops(read_images(args.data), args.scale, channels, args.patch)
    held_out = [make_pair(image, args.scale, channels) for image in read_images(args.validate)] if args.validate else []
    columns = (
        *Progress.get_default_columns()[:3],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(args.network, total=args.steps, completed=step, note="")
        while step < args.steps:
            low, high = crops.batch(args.batch, generator)
            loss = loss_of(net(low.to(args.device)), high.to(args.device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(net)
            step += 1
            if step % 20 == 0:
                progress.update(task, completed=step, note=f"loss {loss.item():.5f}")
            if step % args.every == 0 or step == args.steps:
                figure = (
                    validate(average.module.eval(), held_out, args.scale, args.device) if held_out else float("nan")
                )
                progress.print(f"step {step}: loss {loss.item():.5f}, PSNR {figure:.3f} dB")
                training = {
                    name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()
                }
                save_checkpoint(average.module, args.out / "model.safetensors", record={"training": training})
                torch.save(
                    {name: part.state_dict() for name, part in states.items()}
                    | {"step": step, "generator": generator.get_state()},
                    state_file,
                )
                (args.out / "log.jsonl").open("a").write(
                    json.dumps({"step": step, "loss": loss.item(), "psnr": figure}) + "\n"
                )


if __name__ == "__main__":
    main()
