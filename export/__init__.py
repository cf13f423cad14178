"""How a network leaves torch: ONNX, one Q/DQ dialect per runtime, and the checks on what came out."""
