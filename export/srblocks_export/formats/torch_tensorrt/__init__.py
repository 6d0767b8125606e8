"""Torch-TensorRT programs."""
