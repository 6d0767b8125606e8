"""torch.export programs ()."""
