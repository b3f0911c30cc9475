"""A finished run applied to images: in on any grid, out on the same."""
