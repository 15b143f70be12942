"""Options of XLA with which small networks compile soonest; run, it prints them.

Computing takes hardly any of the time of a small network, and compiling nearly all of it: that of a
training step 5 s of processor time with these options, 18 s without optimizing alone, and more with
it. What computing dominates, as networks at their full size do, is compiled as users compile it.
"""

from importlib.metadata import version

FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
# Another XLA than that of these versions ends the process for an option it does not know.
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"


def for_devices(count: int) -> str:
    """The same options, for a process with so many virtual devices."""
    return f"{FLAGS} --xla_force_host_platform_device_count={count}"


if __name__ == "__main__":
    print(FLAGS)
