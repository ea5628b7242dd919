"""What trainings reach on people whom they never saw: `python bench/training.py SHARDS [OUT]`, minutes of one core.

Each recipe learns 400 steps of eight examples on the part `train` and is judged on `val` and `test`: decibels in the box around the mouth
of 128 frames, `dubbed` (another frame of the film is to say what the true one says), the seam, and on the longest clip of each part whether a
mouth that says what is said at another time opens as it should."""
import sys, time
from pathlib import Path
from tempfile import mkdtemp
import numpy as np, torch
from lipsync_kit.train.options import train_options
from lipsync_kit.train.trainer import Trainer
from lipsync_kit.train.validate import drawn_clip, opening_figures
from lipsync_kit.train.dataset import Clips

RECIPES = {'mask, 200 steps': ('generator:1', 200), 'mask, 400 steps': ('generator:1', 400), 'mask 200, then unmasked 200': ('generator:1, unmasked:1', 400)}
SHOWN = 'psnr', 'held', 'moved', 'dubbed', 'film', 'seam', 'opening_r', 'opening_gain'

def judged(trainer, clips):
    "All figures of the best weights on some people"
    trainer.unseen = clips
    painter = trainer.painter(trainer.state.best_weights or None)
    i = int(np.argmax([f.seconds for f in clips.facts]))
    _, drawn, rows = drawn_clip(painter, clips, i, dubbed=True)
    return trainer.figures(painter, 128) | opening_figures(drawn, clips.array(i, 'points')[rows])

def main(shards, out):
    torch.set_num_threads(1)
    parts = {p: Clips(shards, p) for p in ('val', 'test')}
    print('people and seconds: ' + ', '.join(f'{p} {len(c.people)}, {c.seconds:.0f} s' for p, c in (parts | dict(train=Clips(shards))).items()))
    print('| | CPU s | part | ' + ' | '.join(SHOWN) + ' |')
    for name, (recipe, steps) in RECIPES.items():
        t, begun = Trainer(train_options(data=shards, out=str(Path(out)/name.replace(' ', '-')), device='cpu', recipe=recipe, steps=steps, validate=100)), time.process_time()
        t.run()
        seconds = time.process_time() - begun
        for part, clips in parts.items():
            found = judged(t, clips)
            print(f'| {name} | {seconds:.0f} | {part} | ' + ' | '.join(f'{found[k]:.2f}' for k in SHOWN) + ' |', flush=True)

if __name__ == '__main__':
    if len(sys.argv) > 1: main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else mkdtemp())
    else: print('left out: it needs a data set; lipsync prepare FOLDER -o SHARDS, then python bench/training.py SHARDS')
