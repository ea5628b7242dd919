"""How well sound predicts the mouth of people that the head never heard.

    python bench/motion.py                 the figures measured when the shipped heads were fitted (from their card)
    python bench/motion.py FOLDER [k]      fit and judge anew on the clips of a folder, people left out in k groups (8); takes an hour or so on two cores"""
import sys
import numpy as np
from lipsync_kit.motion.network import motion_model_card

def shipped():
    for name, h in motion_model_card()['heads'].items():
        print(f"{name:8} aperture r {h['aperture_r']:.3f} (target 0.68, aim 0.75), width r {h['width_r']:.3f}, LMD {h['lmd']:.2f} % (target 3.5; still mouth {h['lmd_still']:.2f}), "
              f"spread {h['amplitude']:.2f} of real mouths, {h['people_judged']} people" + (f", p/b/m closed before any rule {h['closures']:.0%}" if 'closures' in h else ''))
    print('judged:', motion_model_card()['heads']['whisper']['judged'])

def anew(folder, k):
    from lipsync_kit.motion.fit import learn
    _, scores = learn(folder, n_groups=k, progress=lambda done, what: print(f'\r{done:.0%} {what}          ', end='', flush=True))
    print()
    for name, s in scores.items(): print(f'{name:28} aperture r {s.aperture:.2f}, LMD {s.lmd:.2f} %')
    print(f'mean aperture r {np.mean([s.aperture for s in scores.values()]):.3f}, LMD {np.mean([s.lmd for s in scores.values()]):.2f} %')

if len(sys.argv) > 1: anew(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8)
else: shipped()
