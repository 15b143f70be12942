"""Ranking Attention Network (RANet, ICCV 2019) for fast video object segmentation, in JAX and Flax."""
