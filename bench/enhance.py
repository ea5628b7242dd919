"""What restoring faces costs beside its network, whether it flickers, and whether its memory grows.

    python bench/enhance.py [video with one face, at least 5 s]
Cost: processor time of the effect over that of the network alone on the same squares, with the trained Real-ESRGAN where it was fetched, else with an
untrained network of its size. Flicker: what the restored face changes from frame to frame beyond what the input changes (root mean square, grey levels of the correction), with a
stand-in restorer that draws other noise in every frame, for steady=0 and as it is by default. Memory: the peak after a quarter and after all of the video."""
import resource, sys, time
from fractions import Fraction
from itertools import islice
import cv2, numpy as np, torch
from lipsync_kit.core import Frame
from lipsync_kit.effects.effect import EffectContext
from lipsync_kit.effects.enhance import Enhance, EnhanceSettings
from lipsync_kit.faces.masks import area_mask, rect_of
from lipsync_kit.faces.track import track_faces
from lipsync_kit.hub.cards import available
from lipsync_kit.hub.memory import manager
from lipsync_kit.media.read import read_frames
from lipsync_kit.nn.rrdb import RRDBNet, Upscaler
from measure import MEDIA

class Trembling:
    "A restorer that sharpens, and draws other noise each time"
    scale = 1
    def __init__(self): self.rng = np.random.default_rng(0)
    def batch(self, squares):
        x = squares.astype(np.float32)
        sharp = np.stack([2 * s - cv2.GaussianBlur(s, (0, 0), 2) for s in x])
        return np.clip(sharp + self.rng.normal(0, 6, x.shape), 0, 255).astype(np.float32)

class Timed:
    "A restorer, and the processor time that it took"
    def __init__(self, restorer): self.restorer, self.seconds = restorer, 0.
    def batch(self, squares):
        begun = time.process_time()
        out = self.restorer.batch(squares)
        self.seconds += time.process_time() - begun
        return out

def tracked(path, n): return islice(track_faces(read_frames(path)), n)

def effect_with(restorer, **given):
    effect = Enhance(EnhanceSettings(model='filter', spare=False, **given))
    effect.restorer = restorer
    return effect

def flicker(path, steady, n=150):
    "Root mean square of the change of the correction from frame to frame, where the face is; grey levels"
    pairs, last, found = list(tracked(path, n)), None, []
    done = effect_with(Trembling(), steady=steady, strength=1.).apply(iter(pairs), EffectContext(None))
    for (after, faces), (before, _) in zip(done, pairs):
        if not faces: last = None; continue
        rect = rect_of(faces[0], 'face', before.size)
        mask = area_mask(faces[0], 'face', rect)
        whole = np.zeros(before.image.shape[:2], np.float32); rect.of(whole)[:] = mask
        added = after.image.astype(np.float32) - before.image
        if last is not None: found.append((np.minimum(whole, last[1])[..., None] * (added - last[0])**2).sum() / (3 * np.minimum(whole, last[1]).sum()))
        last = added, whole
    return float(np.sqrt(np.mean(found))), len(found)

def network():
    "Real-ESRGAN, trained where it is there"
    if available('realesrgan-x4plus'): return manager.load('realesrgan-x4plus', 'cpu'), 'the trained Real-ESRGAN'
    torch.manual_seed(0)
    return Upscaler(RRDBNet(), 'cpu', 'float32'), 'an untrained network of the size of Real-ESRGAN'

def cost(path, n=6):
    net, name = network()
    pairs, timed = list(tracked(path, n)), Timed(net)
    for frame, _ in pairs: frame.image
    begun = time.process_time()
    for _ in effect_with(timed).apply(iter(pairs), EffectContext(None)): pass
    whole = time.process_time() - begun
    print(f'cost with {name}: {whole / n:.2f} core-s a frame, {whole / timed.seconds:.3f} times the network alone')
    begun = time.process_time()
    for _ in Enhance(EnhanceSettings(model='filter')).apply(iter(pairs), EffectContext(None)): pass
    print(f'   the filter: {1000 * (time.process_time() - begun) / n:.1f} core-ms a frame, with its masks and paste')

def memory(path):
    peaks = []
    for i, _ in enumerate(Enhance(EnhanceSettings(model='filter')).apply(track_faces(read_frames(path)), EffectContext(None))):
        if i in (25, 100): peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    print(f'memory: {peaks[0]:.0f} MB after 25 frames, {peaks[-1]:.0f} MB after {i + 1}')

def main():
    path = sys.argv[1] if len(sys.argv) > 1 else MEDIA/'clips'/'news_german_anchor.mp4'
    memory(path)
    loose, n = flicker(path, 0.)
    calm, _ = flicker(path, EnhanceSettings().steady)
    print(f'flicker of a trembling restorer over {n} steps: {loose:.2f} grey levels frame by frame, {calm:.2f} as it is, {calm / loose:.2f} times')
    cost(path)

if __name__ == '__main__': main()
