"""How a network leaves torch: ONNX, one Q/DQ dialect per runtime, and checks on what came out."""
