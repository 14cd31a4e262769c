"""A user's rule that reduces over the neurons of a layer, along each axis and over all of them."""


def competing(pre, post, weight, A, B, rate=0.1):
    """η(A·oi·(oj − ō) + B·oi·max o − w·Σᵢw)"""
    return rate * (A * pre * (post - post.mean()) + B * pre * post.max(axis=1) - weight * weight.sum(axis=0))
