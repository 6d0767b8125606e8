"""Export super-resolution networks to files that are verified in a fresh process, and run them.

    import srblocks_export
    from srblocks_export import ExportConfig, export_network

    export_network(net, ExportConfig(formats=("onnx",)))
    sr = srblocks_export.load("exported/net.onnx")(lr)

Names are imported on first use; `__init__.pyi` lists them.
"""

try:
    import lazy_loader
except ImportError:  # machines that only build engines with `formats.tensorrt.trt_engine` have no such library
    pass
else:
    __getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
