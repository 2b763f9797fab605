# Read by pgAdmin over its defaults.
SERVER_MODE = True
DATA_DIR = "/var/lib/pgadmin"
LOG_FILE = "/dev/null"
DEFAULT_BINARY_PATHS = {"pg": "/usr/bin"}
UPGRADE_CHECK_ENABLED = False
CHECK_EMAIL_DELIVERABILITY = False
