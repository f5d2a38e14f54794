import pytest

from axdnn.records import Layer


def product(name, m, k, n, groups=1, kind="conv2d"):
    return Layer(
        name=name,
        kind=kind,
        m=m,
        k=k,
        n=n,
        groups=groups,
        input_words=groups * m * k,
        output_words=groups * m * n,
        in_shape=(1,),
        out_shape=(1,),
    )


@pytest.fixture(scope="session", name="product")
def product_fixture():
    return product


@pytest.fixture(scope="session")
def mixed(network_of):
    """Large and small, grouped and dense layers, and a product of two activations."""
    return network_of(
        product("stem", 3136, 27, 32),
        product("depthwise", 3136, 9, 1, groups=32),
        product("point", 3136, 32, 64),
        product("body", 196, 1152, 256),
        product("scores", 49, 64, 49, groups=4, kind="matmul"),
        product("fc", 1, 512, 100),
    )
