"""How well a motion model predicts the mouths of people it was not trained on.

    python bench/motion.py                 the figures measured when the package's models were fitted (from their card)
    python bench/motion.py FOLDER [k]      fit and judge again on the clips of a folder, people left out
                                           in k groups (8); takes about an hour on two cores"""
import sys
import numpy as np
from lipsync_kit.motion.network import motion_model_card

def report(name, m):
    "One line on a model of the package"
    closed = f", p/b/m closed before any rule {m['closures']:.0%}" if 'closures' in m else ''
    return (f"{name:9} aperture r {m['aperture_r']:.3f} (target 0.68, aim 0.75), width r {m['width_r']:.3f}, "
            f"LMD {m['lmd']:.2f} % (target 3.5; still mouth {m['lmd_still']:.2f}), "
            f"spread {m['amplitude']:.2f} of real mouths, {m['people_judged']} people{closed}")

def packaged():
    models = motion_model_card()['models']
    for name, m in [*models.items(), ('rules', motion_model_card()['rules'])]: print(report(name, m))
    print('synthetic and rules learned from no clips and may be used commercially')
    print('judged:', models['whisper']['judged'])

def show(p): print(f'\r{p.share:.0%} {p.stage}          ', end='', flush=True)

def fit_again(folder, k):
    from lipsync_kit.motion.fit import fit_folder
    _, scores = fit_folder(folder, n_groups=k, progress=show)
    print()
    for name, s in scores.items(): print(f'{name:28} aperture r {s.aperture:.2f}, LMD {s.lmd:.2f} %')
    aperture, lmd = (np.mean([getattr(s, k) for s in scores.values()]) for k in ('aperture', 'lmd'))
    print(f'mean aperture r {aperture:.3f}, LMD {lmd:.2f} %')

if len(sys.argv) > 1: fit_again(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8)
else: packaged()
