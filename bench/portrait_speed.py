"Milliseconds a frame for drawing at 512x512, on one core, and what each part of it takes."
import os, time
import cv2, numpy as np
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.read import read_image
from lipsync_kit.models.portrait import still as pages
from lipsync_kit.models.portrait.still import prepare
from pathlib import Path

cv2.setNumThreads(1)
media = Path(os.environ.get('LIPSYNC_MEDIA', Path(__file__).resolve().parent.parent.parent/'shared/media'))
near = media/'portraits/photo_woman_624.jpg'
image = read_image(near if near.exists() else Path(__file__).resolve().parent.parent/'lipsync_kit/data/astronaut.jpg').image
image = cv2.resize(image, (512, 512), interpolation=cv2.INTER_AREA)
face = landmarks(image)
t = time.perf_counter(); still = prepare(image, face); setup = time.perf_counter() - t
lips, everything = np.float32([1.5, .3, .3, 0, 0, 0]), dict(blink=(.5, .5), head=(3, -4, 2), gaze=(.08, .02))

def best(f, n=40):
    "The least of `n` runs and their median, milliseconds of one core"
    runs = []
    for _ in range(n): t = time.process_time(); f(); runs.append(1e3 * (time.process_time() - t))
    return min(runs), np.median(runs)

print(f'512x512, {face.iod:.0f} px between the eyes, set-up {setup:.2f} s, with the gain measured')
for name, options in (('mouth', {}), ('mouth and blink', dict(blink=(.5, .5))), ('mouth and gaze', dict(gaze=(.08, .02))), ('mouth and head', dict(head=(3, -4, 2))), ('mouth, gaze and head', dict(head=(3, -4, 2), gaze=(.08, .02))), ('everything', everything)):
    least, median = best(lambda: still.draw(lips, .15, **options))
    print(f'{name:24} least {least:5.1f} ms  median {median:5.1f} ms  = {40 / least:.0f} x real time at 25 frames a second')
k = still._coefficients(lips, .15, None, 0., 0.)
d = (k @ still.fields[0]).reshape(still.places.shape)
up, low = still._contours(k)
x = pages.inverse_offsets(d, still.places)
down = still.mouth.down
for name, f in (('sum of fields', lambda: k @ still.fields[0]), ('inverse', lambda: pages.inverse_offsets(d, still.places)),
                ('two warps, mouth', lambda: still._joined(still.part.copy(), still.source, x, x, (up + low) / 2, down)),
                ('inside of the mouth', lambda: pages.paint(still.part.copy(), still.mouth, up, low)),
                ('lids', lambda: still._eyes((.5, .5), (0., 0.))), ('gaze', lambda: still._eyes((0., 0.), (.08, .02))),
                ('turn', lambda: pages.turned(image, still.turn, (3, -4, 2)))):
    print(f'  {name:22} least %5.2f ms  median %5.2f ms' % best(f))
