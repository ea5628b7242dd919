"The moving pictures of the site: `python tools/docs_site/loops.py` draws them again, from the bundled photograph and from matplotlib's portrait of Grace Hopper"
from dataclasses import dataclass
from pathlib import Path
import sys

@dataclass(frozen=True)
class Loop:
    name:str      # of the file
    title:str
    about:str     # for those who can't see it too
    command:str   # that makes such a video

LOOPS = (
    Loop('talk', 'A photograph speaks', 'The photograph of an astronaut says a sentence; head, eyes and brows move a little.',
         'lipsync talk face.jpg --text "My paper boat floats by, far out at sea." --frame head -o talk.mp4'),
    Loop('hopper', 'Another photograph', 'The photograph of a naval officer with a cap and glasses says a sentence.',
         'lipsync talk hopper.jpg --text "A ship in port is safe." --frame head -o hopper.mp4'),
    Loop('emotions', 'Emotions', 'The same sentence, neutral, happy, surprised and angry; the lips still follow the speech.',
         'lipsync talk face.jpg speech.wav --emotion happy --strength 1.2 --frame head -o happy.mp4'),
    Loop('turn', 'A head that turns', 'A head of Gaussians, made of the photograph in seconds, turns as it speaks.',
         'lipsync talk face.jpg speech.wav --model gaussian --head 1.8 --frame head -o turns.mp4'),
    Loop('curve', 'The motion between sound and picture', "The opening of the mouth as a curve, and the moment that is drawn.",
         'lipsync motion speech.wav -o track.json\nlipsync talk face.jpg speech.wav --motion track.json -o again.mp4'),
    Loop('dub', 'A video says something else', 'A talking video and the same video dubbed with another sentence: what is not mouth or jaw stays.',
         'lipsync talk clip.mp4 speech.wav -o dubbed.mp4'),
)
STATIC = Path(__file__).parent/'static'/'loops'
SENTENCE = 'My paper boat floats by, far out at sea.'

def frames(**options):
    "Pictures of a short video, and its result"
    from importlib.resources import files
    from lipsync_kit import lipsync
    from lipsync_kit.media.read import read_frames
    face = options.pop('face', files('lipsync_kit')/'data'/'astronaut.jpg')
    r = lipsync(face, fps=20, **options)
    return [f.image for f in read_frames(r.path)], r

def write(name:str, pictures, crf:int=27, model:str='portrait'):
    "A loop without sound, marked as AI-generated, and its first picture"
    from PIL import Image
    from fractions import Fraction
    from lipsync_kit.media.provenance import mark
    from lipsync_kit import __version__
    from lipsync_kit.media.write import Writer
    STATIC.mkdir(parents=True, exist_ok=True)
    h, w = pictures[0].shape[:2]
    with Writer(STATIC/f'{name}.mp4', w, h, Fraction(20), None, crf, 'veryslow', mark(model, __version__)) as writer:
        for i, p in enumerate(pictures): writer.write(p, Fraction(i, 20))
    Image.fromarray(pictures[0]).save(STATIC/f'{name}.jpg', quality=82)
    print(name, len(pictures), (STATIC/f'{name}.mp4').stat().st_size // 1000, 'kB')

def there_and_back(pictures, n:int=6):
    "The end fades into the beginning, so that the loop has no jump"
    import numpy as np
    mixed = [(a * (1 - t) + b * t).round().astype(np.uint8) for a, b, t in
             zip(pictures[-n:], pictures[:n], np.linspace(0, 1, n))]
    return pictures[n:-n] + mixed

def talk(): return there_and_back(frames(text=SENTENCE, frame='head', size=384)[0])

def hopper():
    from matplotlib.cbook import get_sample_data
    face = get_sample_data('grace_hopper.jpg', asfileobj=False)
    return there_and_back(frames(face=face, text='A ship in port is safe.', frame='head', size=384)[0])

def emotions():
    import numpy as np
    rows = [frames(text=SENTENCE, frame='head', size=224, emotion=e, strength=1.3)[0] for e in ('neutral', 'happy', 'surprised', 'angry')]
    return there_and_back([np.hstack(p) for p in zip(*rows)])

def turn(): return there_and_back(frames(text=SENTENCE, model='gaussian', head=1.8, frame='head', size=384)[0])

def curve():
    import numpy as np
    import matplotlib.pyplot as plt
    pictures, r = frames(text=SENTENCE, frame='head', size=320)
    t, opening = r.motion.times, r.motion.mouth_open
    fig, ax = plt.subplots(figsize=(4.8, 3.2), dpi=100)
    ax.plot(t, opening, color='#5b5bd6', lw=2)
    ax.set(xlabel='seconds', ylabel='opening of the mouth', xlim=(0, t[-1]), ylim=(0, None))
    ax.spines[['top', 'right']].set_visible(False)
    line, = ax.plot([0, 0], [0, opening.max()], color='#e5484d', lw=1.5)
    fig.tight_layout()
    def at(i):
        line.set_xdata([i / 20] * 2)
        fig.canvas.draw()
        return np.asarray(fig.canvas.buffer_rgba())[..., :3]
    return [np.hstack([p, at(i)]) for i, p in enumerate(pictures)]

def dub():
    import numpy as np
    before, r = frames(text=SENTENCE, frame='head', size=320)
    after, _ = frames(face=r.path, text='Now it says something else, for as long.')
    return there_and_back([np.hstack(p) for p in zip(before, after)])

if __name__ == '__main__':
    makers = dict(talk=talk, hopper=hopper, emotions=emotions, turn=turn, curve=curve, dub=dub)
    for loop in LOOPS:
        if not sys.argv[1:] or loop.name in sys.argv[1:]: write(loop.name, makers[loop.name](), model='gaussian' if loop.name == 'turn' else 'portrait')
