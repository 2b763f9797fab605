// Everything that differs between instances comes from the environment, so that flows, credentials and
// palette nodes are all that the volume holds.
const bcrypt = require("bcryptjs");

const user = process.env.NODE_RED_USERNAME || "admin";
const password = process.env.NODE_RED_PASSWORD;
if (!password) {
    console.error("NODE_RED_PASSWORD is not set: the editor can run any code, so it never starts without one.");
    process.exit(1);
}

module.exports = {
    uiHost: "0.0.0.0",
    uiPort: Number(process.env.PORT || 1880),
    flowFile: "flows.json",
    credentialSecret: process.env.NODE_RED_CREDENTIAL_SECRET,
    adminAuth: {
        type: "credentials",
        users: [{ username: user, password: bcrypt.hashSync(password, 10), permissions: "*" }],
    },
    logging: { console: { level: "info", metrics: false, audit: false } },
    editorTheme: { tours: false },
    functionExternalModules: true,
    exportGlobalContextKeys: false,
};
