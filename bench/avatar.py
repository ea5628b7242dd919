"""What a personal mouth costs, as ratios to tracking one frame: drawing, fine skin, a step of training.
With clips as arguments: how close it comes on their last fifth, beside the photo renderer and a shut mouth."""
import os, sys, tempfile, time
from pathlib import Path
os.environ.setdefault('OMP_NUM_THREADS', '1')
import cv2, numpy as np, torch
from lipsync_kit.avatar.clip import Limits, open_clip
from lipsync_kit.faces.detect import landmarks_near
from lipsync_kit.media.read import read_image
from lipsync_kit.avatar.figures import judge, judged_rows, simple_ways, table_text
from lipsync_kit.models.personal.model import learn_mouth, redrawn, steps_for
from lipsync_kit.models.personal.train import Training
from lipsync_kit.pipe.run import lipsync

cv2.setNumThreads(1); torch.set_num_threads(1)

def figures(path):
    "Figures on the end of a clip, whatever its report says"
    clip = open_clip(path, limits=Limits(seconds=4, iod=20, speech=0, wide=.05))
    known, tail = clip.split()
    rows, start = judged_rows(tail), time.process_time()
    mouth, _ = learn_mouth(clip, known, steps_for(clip))
    print(f'{path}: {len(known)} frames learned in {time.process_time() - start:.0f} s of CPU, {len(rows)} judged')
    drawn = [(k, judge(clip, rows, redrawn(clip, mouth, rows, k))) for k in mouth.painters]
    print(table_text([*drawn, *simple_ways(clip, known, rows)]))

if sys.argv[1:]:
    for path in sys.argv[1:]: figures(path)
    sys.exit()

here = Path(__file__).resolve().parent.parent
image = read_image(here/'lipsync_kit/data/astronaut.jpg').image[:336, 56:392]
image = cv2.resize(image, (672, 672), interpolation=cv2.INTER_CUBIC)
with tempfile.TemporaryDirectory() as d:
    text = 'How about an apple, a plum, or a wide open mouth? We saw many old friends.'
    lipsync(image, text=text, out=f'{d}/me.mp4', fps=12, idle=False)
    clip = open_clip(f'{d}/me.mp4', limits=Limits(seconds=3, speech=1, wide=0))
    mouth, training = learn_mouth(clip, np.arange(len(clip)), 4)
    frames = [x for _, x in clip.frames(range(8))]

def cpu(f, n=8):
    "The least of `n` runs, ms of CPU"
    runs = []
    for _ in range(n): t = time.process_time(); f(); runs.append(1e3 * (time.process_time() - t))
    return min(runs)

p, rows = mouth.person, np.arange(8)
maps, numbers = p.maps(clip.points, clip.times, rows), p.numbers(clip.lips[rows], clip.opening[rows], clip.pose[rows])
track = cpu(lambda: landmarks_near(frames[0], clip.points[0], side=256))
print(f'{p.window.size} px window; tracking a frame = 1 ({track:.1f} ms)')
for name in mouth.painters:
    for own, word in (None, ''), (numbers, ' with the film\'s skin'):
        ms = cpu(lambda: mouth.draw(frames, maps, numbers, own, name)) / 8
        print(f'  {name + word:34} {ms / track:5.2f} ({ms:.1f} ms a frame)')
for half in False, True:
    t = Training(training.data, 100, half=half)
    ms = cpu(t.step)
    print(f'  step, {"bfloat16" if half else "float32":28} {ms / track:5.2f} ({ms:.0f} ms; 2000 steps {ms * 2:.0f} s)')
