"""Tests of images in a bucket."""
