"""The agent: Python 3.8+, standard library, numpy, the board's runtime; nothing of ours.

cli, lease           the two commands, bench and probe; the hold that the asker has on them
protocol             the request that comes in, the lines of JSON that go out
bench, measure       one measurement: the board set and set back; baseline, warm-up, windows
slices, journal      a timed window as a line, and what they come to; kept on the device's disk
timing, stats        the warm-up and the timed loop; percentiles, spread and drift of the samples
paired_ratio         ratios of things that took turns, with their interval
trust                what a reader must know before believing the figures

engine, engines      what every engine is; which one a case asks for
engine_onnxruntime   ONNX Runtime; onnxruntime_profile: what its own profile says of the nodes
engine_tensorrt      TensorRT's Python API; tensorrt_build, tensorrt_execution, cudart: its parts
engine_trtexec       NVIDIA's trtexec; trtexec_*: its flags by version, its output, its process
engine_cache         engines kept on the device; onnx_file, precision: what a file asks for
inputs, layer_info   the same seeded numbers for all; an engine's layers by their types

energy               the energy of windows, or why there is none
meter_*              power rails, tegrastats, NVIDIA's discrete GPUs (nvml), the CPU's RAPL
counter_samples      an energy counter, read all the time, between two instants
rails, total_rule    a board's rails by their labels; which of them make up its total
power_samples        trapezoids between two instants
tegrastats           its lines, of JetPack 4 to 7; tegrastats_process: the program at work

board                what the machine is and how it is set
jetson, cpu, clocks, thermal, power_mode, software, surroundings    the parts of it
settings, guard      a power mode and locked clocks, and the process that sets them back
restore, board_lock, root_commands    what that takes

files, programs      small files and programs below a root folder
receive              takes a file sent to the device
infer                a script that runs alone: a model's outputs for given inputs
errors               a failed measurement, an energy that cannot be had
"""
