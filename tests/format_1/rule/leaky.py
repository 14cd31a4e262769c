def leaky(pre, post, weight, lr, A, leak):
    """η(A·oi·oj − λ·w)"""
    return lr * (A * pre * post - leak * weight)
