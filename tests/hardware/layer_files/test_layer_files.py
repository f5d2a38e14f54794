"""Files of layers: what is read, and that every fault is named with its line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.hardware import read_gemm_csv, read_topology_csv
from axdnn.records import InvalidInputError


def refusal(read, path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(path)
    return str(caught.value)


def test_products_in_any_column_order(layer_file):
    text = '\ufeff# made by hand\n\nK , name,n,M\n64,"a, b",128,841\n  # more\n,,,\n512,FC,1000,1\n'
    layers = read_gemm_csv(layer_file(text))
    assert layers.names == ("a, b", "FC")
    assert [x.tolist() for x in layers[1:]] == [[841, 1], [64, 512], [128, 1000], [1, 1], [841 * 64, 512]]
    grouped = read_gemm_csv(layer_file("name,m,k,n,groups\ndw,100,9,1,32\nbig,2147483648,1,1,1\n"))
    assert grouped.groups.tolist() == [32, 1]
    assert grouped.m.tolist() == [100, 2**31]


@pytest.mark.parametrize("head", ["Layer, M, N, K,", "Layer name,M,N,K", "Layer,K,N,M,"])
def test_products_as_scalesim_writes_them(head, layer_file):
    layers = read_gemm_csv(layer_file(f"{head}\nfc1, 128, 64, 256,\n\nfc2,1,10,64\n"))
    assert layers.names == ("fc1", "fc2")
    rows, terms = (layers.k, layers.m) if ",K,N,M" in head else (layers.m, layers.k)
    assert [x.tolist() for x in (rows, layers.n, terms)] == [[128, 1], [64, 10], [256, 64]]


FAULTS = {
    "empty": ("", ("file is empty",)),
    "comments only": ("# x\n\n", ("file is empty",)),
    "head only": ("name,m,k,n\n", ("at least one layer",)),
    "unknown column": ("name,m,k,n,batch,x\na,1,1,1,1,1\n", ("line 1", "'batch', 'x'", "name, m, k, n, groups")),
    "missing columns": ("name,m\na,1\n", ("line 1", "k, n are missing")),
    "column twice": ("name,m,m,k,n\na,1,1,1,1\n", ("line 1", "m must stand once")),
    "separator": ("name;m;k;n\na;1;1;1\n", ("unknown columns", "name;m;k;n")),
    "zero": ("name,m,k,n\na,0,1,1\n", ("line 2: `m` must be a whole number in 1..2^31, but got '0'",)),
    "negative": ("name,m,k,n\na,1,-3,1\n", ("line 2: `k`", "'-3'")),
    "fraction": ("name,m,k,n\na,1,1,2.5\n", ("line 2: `n`", "'2.5'")),
    "power": ("name,m,k,n\na,1e3,1,1\n", ("'1e3'",)),
    "underscore": ("name,m,k,n\na,1_0,1,1\n", ("'1_0'",)),
    "too large": ("name,m,k,n\na,2147483649,1,1\n", ("line 2: `m`", "2147483649")),
    "far too large": (f"name,m,k,n\na,{'9' * 5000},1,1\n", ("line 2: `m`", "99999999999999999999...")),
    "blank cell": ("name,m,k,n,groups\na,1,1,1,\n", ("line 2: `groups`", "''")),
    "no name": ("name,m,k,n\n,1,1,1\n", ("line 2: `name` must not be empty",)),
    "cells": ("name,m,k,n\na,1,1\nb,1,1,1,1\n", ("line 2", "got 3", "line 3", "got 5")),
    "two names": ("Layer,name,m,k,n\na,b,1,1,1\n", ("line 1", "name must stand once")),
    "two commas": ("name,m,k,n,\na,1,1,1,,\n", ("line 2", "got 5 cells")),
    "quotes": ('name,m,k,n\n"a"b,1,1,1\n', ("line 2",)),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_of_products(case, layer_file):
    text, said = FAULTS[case]
    message = refusal(read_gemm_csv, layer_file(text))
    assert all(word in message for word in ("layers.csv", *said)), message


def test_all_faults_are_named_together(layer_file):
    message = refusal(read_gemm_csv, layer_file("name,m,k,n\na,0,1,x\n# -1\n\nb,1,1\nc,1,1,1\n,1,1,1.0\n"))
    assert [word for word in message.split() if word.endswith(":")][1:] == ["2:", "2:", "5:", "7:", "7:"]
    many = refusal(read_gemm_csv, layer_file("name,m,k,n\n" + "a,0,0,0\n" * 50))
    assert many.endswith("and 50 more")


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"name\xff")
    for name in ("absent.csv", "binary.csv", "."):
        assert "cannot read the layers in" in refusal(read_gemm_csv, tmp_path / name)


def test_topologies_with_and_without_head(layer_file):
    head = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    row = "Conv1, 56, 56, 3, 3, 64, 64, 1,\n"
    for text in (head + row, row, head + "# x\n" + row.rstrip(",\n"), row.rstrip("\n") + "1:1,"):
        layers = read_topology_csv(layer_file(text))
        assert (layers.names, layers.m[0], layers.k[0], layers.n[0]) == (("Conv1",), 54 * 54, 576, 64)
        assert layers.distinct_inputs[0] == 56 * 56 * 64


def test_depthwise_layers_are_channels_one_after_another(layer_file):
    layers = read_topology_csv(layer_file("DP1,10,10,3,3,32,1,1,\nplain,10,10,3,3,32,1,1,\n"))
    assert [x.tolist() for x in layers[1:]] == [[64, 64], [9, 288], [1, 1], [32, 1], [100, 3200]]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_touched_words_are_counted(tmp_path_factory, height, width, high, wide, stride):
    high, wide = min(high, height), min(wide, width)
    path = tmp_path_factory.mktemp("one") / "layer.csv"
    path.write_text(f"x,{height},{width},{high},{wide},3,2,{stride},\n")
    layers = read_topology_csv(path)
    places = [-(-(size - window + stride) // stride) for size, window in ((height, high), (width, wide))]
    touched = np.zeros((height, width), dtype=bool)
    for y, x in np.ndindex(*places):
        touched[y * stride : y * stride + high, x * stride : x * stride + wide] = True
    assert layers.m[0] == places[0] * places[1]
    assert layers.distinct_inputs[0] == 3 * touched.sum()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one layer"),
        ("a,5,5,3,3,1,1,\n", "line 1: name,ifmap_h,ifmap_w,filt_h,filt_w,channels,filters,stride and no sparsity"),
        ("a,5,5,3,3,1,1,1,2:4,\n", "line 1: name"),
        ("a,5,5,6,3,1,1,1,\nb,5,0,1,1,1,1,1,\n", r"line 1: the filter 6x3 must fit the ifmap 5x5; line 2: `ifmap_w`"),
        ("a,5,5,3,3,1,1,0,\n", "line 1: `stride` must be a whole number"),
        ("a,5,x,3,3,1,1,1,\n", "line 1: `ifmap_w`"),
    ],
)
def test_faults_of_topologies(text, said, layer_file):
    with pytest.raises(InvalidInputError, match=said):
        read_topology_csv(layer_file(text))
