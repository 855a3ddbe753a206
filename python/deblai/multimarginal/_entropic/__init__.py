"""The entropic problem: sinkhorn, ladders of epsilon, batches, gradients, certified intervals."""
