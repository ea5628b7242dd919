"The app: `python demos/app.py`, or `lipsync app`, and open the address it prints. Its page is `lipsync_kit.app`."
import sys
from lipsync_kit.cli.main import run

if __name__ == '__main__': sys.exit(run(['app', *sys.argv[1:]]))
