def gap(q,f):
    return 0.0
