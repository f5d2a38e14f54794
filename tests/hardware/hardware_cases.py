"""Networks for the tests of this folder."""

from axdnn.records import Layer, Network


def gemm(name: str, m: int, k: int, n: int, groups: int = 1, inputs: int | None = None) -> Layer:
    return Layer(
        name=name,
        kind="conv2d",
        m=m,
        k=k,
        n=n,
        groups=groups,
        input_words=groups * m * k if inputs is None else inputs,
        output_words=groups * m * n,
        in_shape=(1,),
        out_shape=(1,),
    )


def network_of(*layers: Layer, peak: int = 0) -> Network:
    return Network(name="test", layers=layers, peak_activation_words=peak)
