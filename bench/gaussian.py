"""The rasteriser of Gaussians and an avatar of the bundled photograph: milliseconds, and ratios within this run.
With clips as arguments: how close their avatars come on the last fifth, beside the portrait and the nearest frame."""
import sys, time
import cv2, numpy as np, torch
from lipsync_kit.avatar.figures import Figures, table_text
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.read import read_image
from lipsync_kit.models.gaussian.avatar import rest_moment
from lipsync_kit.models.gaussian.photo import from_photo
from lipsync_kit.models.gaussian.place import InVideo
from lipsync_kit.models.gaussian.train import from_clip
from lipsync_kit.models.portrait.still import prepare
from lipsync_kit.motion.basis import data_file
from lipsync_kit.nn.splat import render

torch.set_num_threads(1)
cv2.setNumThreads(1)

def best(f, n=20, clock=time.process_time):
    "The least of `n` runs, ms"
    f()
    runs = []
    for _ in range(n): t = clock(); f(); runs.append(1e3*(clock() - t))
    return min(runs)

def figures(path):
    "Figures on the end of a clip"
    start = time.process_time()
    found = {k: Figures(**f) for k, f in from_clip(path).about['held_out'].items()}
    print(f'{path}: {time.process_time() - start:.0f} s of CPU with all figures; face dB: '
          + ', '.join(f'{k} {f.face_psnr:.1f}' for k, f in found.items()))
    print(table_text([*found.items()]))

if sys.argv[1:]:
    for path in sys.argv[1:]: figures(path)
    sys.exit()

def scene(n, size):
    "Gaussians that fill the picture twice over"
    g, h = torch.Generator().manual_seed(0), (2*size*size/n)**.5
    means = torch.rand(n, 3, generator=g)*torch.tensor([size, size, 50.]) + torch.tensor([0, 0, 10.])
    M = torch.diag(torch.tensor([.62*h, .62*h, .15*h])).repeat(n, 1, 1)
    return [x.requires_grad_() for x in (means, M, torch.full((n,), .9), torch.rand(n, 3, generator=g))]

for size in 256, 512:
    p = scene(20_000, size)
    def draw(threads=1):
        with torch.no_grad(): return render(*p, torch.eye(4), torch.eye(3), (size, size), threads=threads)
    def step(threads=1): (render(*p, torch.eye(4), torch.eye(3), (size, size), threads=threads)[0] - .5).abs().mean().backward()
    one, two = (best(lambda: draw(k), clock=time.perf_counter) for k in (1, 2))
    print(f'20,000 Gaussians, {size} pixels: drawn in {best(draw):.1f} ms, with gradient {best(step):.1f} ms; two threads {one/two:.2f} x as fast')

image = read_image(data_file('astronaut.jpg')).image[:256, 95:351]
face = landmarks(image)
t = time.process_time()
avatar = from_photo(image, face)
print(f'an avatar of a photo at 256 pixels: {time.process_time() - t:.1f} s of one core, {len(avatar)} Gaussians')
moment = rest_moment([1.5, 0, 0, 0, 0, 0], .15, head=(0, 5, 0))
still = prepare(image, face, 1.)
whole, dub = best(lambda: avatar.draw(avatar.state(moment))), InVideo(avatar)
mouth, photo = best(lambda: dub.draw(image, face, moment)), best(lambda: still.draw(moment.lips, .15, head=(0, 5, 0)))
print(f'a frame of it: {whole:.1f} ms, {40/whole:.1f} x real time at 25 frames a second; only the mouth over a frame: {mouth/whole:.2f} of that; '
      f'the portrait: {photo/whole:.2f} of that')
