"""Layouts of modern networks at other scales, widths and forms; see `variants`."""

from collections.abc import Iterator

from checkpoints import authors_modern as modern
from checkpoints.variant import UNIT, Variant, variant


def _esrgan() -> Iterator[Variant]:
    common = {"width": 16, "depth": 2, "growth": 32, "plus": False, **UNIT}
    for source in ("new", "middle", "old"):
        for upconvs, unshuffle, scale in ((1, 1, 2), (2, 1, 4), (3, 1, 8), (2, 2, 2), (2, 4, 1), (0, 1, 1)):
            config = {"scale": scale, "unshuffle": unshuffle > 1 or scale > 2, **common}
            title = f"RRDBNet, {source}, {upconvs} steps, unshuffle {unshuffle}"
            yield variant(title, "rrdbnet", modern.rrdbnet(upconvs, unshuffle=unshuffle, source=source), config)
    for channels in (1, 4):
        config = {"scale": 4, "image_channels": channels, **common}
        yield variant(f"RRDBNet of {channels} channels", "rrdbnet", modern.rrdbnet(2, channels=channels), config)
    config = {"scale": 3, "unshuffle": False, **common}
    layout = modern.rrdbnet(1, source="old")
    yield variant("old RRDBNet x3", "rrdbnet", layout, config, given={"scale": 3})
    sizes = {"width": 48, "depth": 3, "growth": 16}
    yield variant("RRDBNet 48/3/16", "rrdbnet", modern.rrdbnet(2, **sizes), {"scale": 4, **sizes})
    config = {"scale": 2, **common, "plus": True}
    yield variant("ESRGAN+ x2", "esrgan_plus", modern.rrdbnet(1, source="old", plus=True), config)


def _compact() -> Iterator[Variant]:
    for scale, width, depth in ((1, 24, 8), (2, 64, 3), (3, 16, 1), (4, 24, 8)):
        config = {"scale": scale, "width": width, "depth": depth, "act": "prelu", "image_skip": True}
        yield variant(f"Compact x{scale}", "compact", modern.compact(scale, width=width, depth=depth), config)
    for act in ("relu", "leaky_relu"):
        layout = modern.compact(2, width=16, depth=2, prelu=False)
        yield variant(f"Compact with {act}", "compact", layout, {"scale": 2, "act": act}, given={"act": act})


def _span() -> Iterator[Variant]:
    constant, full = ("normalise.",), {"mean_shift": True, "value_range": 255.0}
    for scale, width, fused in ((2, 26, 26), (3, 28, 20), (4, 52, 52)):
        fusion = None if fused == width else fused
        config = {"scale": scale, "width": width, "fusion_width": fusion, "deploy": True, **full}
        name = "span_ntire" if width == 28 else "span"
        layout = modern.span(scale, width=width, fused=fused)
        yield variant(f"slim SPAN of {width} x{scale}", name, layout, config, constant=constant)
        config["deploy"] = False
        layout = modern.span(scale, width=width, fused=fused, layer=modern.full)
        unused = modern.span_copies(width)
        yield variant(f"SPAN of {width} x{scale}", name, layout, config, constant=constant, unused=unused)
    config = {"scale": 2, "width": 16, "mean_shift": False, "value_range": 1.0}
    unused = [("no_norm", (1,))]
    yield variant("SPAN without mean", "span", modern.span(2, width=16, fused=16), config, unused=unused)
    for scale, unshuffle in ((1, 4), (2, 2), (2, 1), (3, 1), (4, 1)):
        config = {"scale": scale, "width": 16, "depth": 3, "unshuffle": unshuffle > 1 or scale > 2, "deploy": True}
        layout = modern.spanf3(scale, width=16, depth=3, unshuffle=unshuffle)
        yield variant(f"SPANF3 x{scale}, unshuffle {unshuffle}", "spanf3", layout, config)
    for name, fused, names in (("pds", 20, ("conv_cat_1", "conv_2_1")), ("spanf", 32, ("conv_cat", "conv_2"))):
        config = {"scale": 3, "width": 24, "fusion_width": fused, "depth": 5}
        yield variant(name, name, modern.pds(3, width=24, fused=fused, names=names), config)


def _efficient() -> Iterator[Variant]:
    config = {"scale": 3, "width": 20, "hidden_width": 24, "depth": 2, "value_range": 255.0}
    yield variant("RLFN 20/24/2", "rlfn", modern.rlfn(3, width=20, hidden=24, depth=2), config)
    config = {"scale": 3, "width": 20, "attention_width": 12, "depth": 2, "deploy": True, "value_range": 255.0}
    yield variant("FMEN of NTIRE 2022", "fmen", modern.fmen_ntire(3, width=20, attention=12, depth=2), config)
    for steps, scale in ((1, 2), (1, 3), (2, 4)):
        config = {"scale": scale, "width": 16, "upsampler_width": 12, "depth": 2, **UNIT}
        given = {"scale": scale} if steps == 1 else {}
        yield variant(f"PAN x{scale}", "pan", modern.pan(steps, width=16, up=12, depth=2), config, given=given)
    for act in ("prelu", "relu"):
        config = {"scale": 3, "width": 8, "depth": 6, "act": act, "deploy": True, **UNIT}
        layout = modern.ecbsr_deploy(3, width=8, depth=6, prelu=act == "prelu")
        yield variant(f"ECBSR m6c8 {act}", "ecbsr", layout, config)
    config = {"scale": 2, "width": 32, "depth": 3, "expansion": 2.0, "light": True, **UNIT}
    layout = modern.safmnpp_light(2, width=32, depth=3, hidden=64)
    yield variant("SAFMN++ light 32/3", "safmnpp_light", layout, config)
    for scale, dysample in ((1, True), (2, True), (3, True), (1, False), (3, False)):
        sizes = {"scale": scale, "width": 16, "depth": 2, "kernel_size": 5, "split": 0.25, "attention": not dysample}
        upsampling = "dysample" if dysample else "pixel_shuffle"
        layout = modern.realplksr(scale, width=16, depth=2, kernel=5, attention=not dysample, dysample=dysample)
        config = {**sizes, "norm": "layer", "upsampling": upsampling}
        yield variant(f"RealPLKSR x{scale}, {upsampling}", "realplksr", layout, config)


GROUPS = (_esrgan, _compact, _span, _efficient)
