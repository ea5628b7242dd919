"What it costs to follow a face: a 720p frame against a crop of 256 pixels, in one run"
import time
from fractions import Fraction
import cv2, numpy as np
from skimage import data
from lipsync_kit.core import Frame
from lipsync_kit.faces.detect import _raw, detect_faces, landmarks
from lipsync_kit.faces.track import FaceTracker

def per_call(f, n=60):
    f(0); took = []
    for i in range(n): t = time.perf_counter(); f(i + 1); took.append(time.perf_counter() - t)
    return 1000 * float(np.median(took))

def main():
    head = data.astronaut()[:300, 80:380]
    crop = cv2.resize(head, (256, 256), interpolation=cv2.INTER_AREA)
    base = per_call(lambda i: _raw(crop))
    print(f'one look at a 256-pixel crop          {base:6.1f} ms')
    for name, w, h in (('720p', 1280, 720), ('1080p', 1920, 1080)):
        scene = np.full((h, w, 3), 110, np.uint8); scene[200:500, 400:700] = head
        tracker = FaceTracker()
        took = per_call(lambda i: tracker(Frame(scene, Fraction(i, 25))))
        print(f'a {name} frame while a face is followed {took:6.1f} ms, {took / base:.2f} times the crop')
        print(f'   all faces looked for, tiles and all {per_call(lambda i: detect_faces(scene, None), 3):6.1f} ms; the face of a picture {per_call(lambda i: landmarks(scene), 9):6.1f} ms')

if __name__ == '__main__': main()
