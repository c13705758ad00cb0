"""The networks that tell speakers apart: from published checkpoints to ONNX files, without torch."""
