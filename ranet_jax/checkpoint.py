def refuse_existing(out): pass
