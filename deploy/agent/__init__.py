"""The agent: Python 3.8+, standard library, numpy, the board's runtime; nothing of ours.

cli                  the two commands, bench and probe
protocol             the request that comes in, the lines of JSON that go out
bench                one measurement from idle baseline to result
timing               the warm-up and the timed loop
stats                percentiles, spread and drift of the samples
energy               the energy of a measurement, or why there is none
meter_rapl           the CPU packages' energy counters
board                what the machine is and how it is set
cpu, files           the processor's facts; small files below a root folder
infer                a script that runs alone: a model's outputs for given inputs
engine_onnxruntime   ONNX Runtime behind an engine's three verbs
errors               a failed measurement, an energy that cannot be had
"""
