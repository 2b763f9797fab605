//! Outside services that an app logs in to.

use super::{BASE, CERTAIN, LIKELY, POSSIBLE, Pattern};

pub(super) const TABLE: &[Pattern] = &[
    Pattern {
        id: "discord-token",
        title: "Discord refused the bot's token",
        texts: &[
            "An invalid token was provided",
            "[TokenInvalid]",
            "discord.errors.LoginFailure",
            "Improper token has been passed",
        ],
        fix: "Make a new token on the bot's page at Discord and set its variable on the project, without quotes or blanks.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "discord-intents",
        title: "The Discord bot asks for intents that it was not given",
        texts: &[
            "Used disallowed intents",
            "discord.errors.PrivilegedIntentsRequired",
            "Privileged intent provided is not enabled or whitelisted",
        ],
        fix: "Switch the privileged intents on for the bot on its page at Discord, or ask for fewer in the code.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "telegram-twice",
        title: "Two processes read the updates of one Telegram bot",
        texts: &["terminated by other getUpdates request"],
        fix: "Run one replica only and stop the bot elsewhere, or use a webhook. While a new version starts beside the old one this passes.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "telegram-token",
        title: "Telegram refused the bot's token",
        texts: &[
            "ETELEGRAM: 401 Unauthorized",
            "ETELEGRAM: 404 Not Found",
            "telegram.error.InvalidToken",
            "aiogram.utils.token.TokenValidationError",
            "Telegram Bot Token not provided",
        ],
        fix: "Set the variable with the bot's token on the project as BotFather shows it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "mail-password",
        title: "The mail server refused user and password",
        texts: &[
            "Invalid login: 535",
            "535 5.7.8",
            "535 Authentication failed",
            "535-5.7.8",
            "smtplib.SMTPAuthenticationError",
            "javax.mail.AuthenticationFailedException",
            "535 5.7.3",
        ],
        fix: "Set user and password of the mail server anew: many providers want a password made for apps, or a key in its place.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "api-key-refused",
        title: "An outside service refused the app's key",
        texts: &[
            "Incorrect API key provided",
            "invalid_api_key",
            "Invalid API Key provided",
            "invalid x-api-key",
            "API key not valid. Please pass a valid API key",
        ],
        fix: "Set the variable with the key anew from the service's page, without quotes or blanks, and check that it is the key of the right account and mode.",
        confidence: LIKELY,
        ..BASE
    },
    Pattern {
        id: "api-quota",
        title: "An outside service answers no more since a quota is used up",
        texts: &[
            "insufficient_quota",
            "You exceeded your current quota",
            "RESOURCE_EXHAUSTED",
            "429 Too Many Requests",
            "Request failed with status code 429",
            "HTTP Error 429: Too Many Requests",
        ],
        fix: "Look at the plan and the limits at the service, keep answers that come again, and wait between tries.",
        confidence: POSSIBLE,
        ..BASE
    },
    Pattern {
        id: "aws-credentials",
        title: "The app has no credentials for the object store or AWS",
        texts: &[
            "Could not load credentials from any providers",
            "Unable to locate credentials",
            "Missing credentials in config",
            "Unable to load credentials from any of the providers in the chain",
            "failed to refresh cached credentials, no EC2 IMDS role found",
            "Region is missing",
            "You must specify a region",
        ],
        fix: "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION on the project.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "aws-refused",
        title: "The object store refused the app's credentials",
        texts: &[
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist",
            "ExpiredToken: The provided token has expired",
            "UnrecognizedClientException",
        ],
        fix: "Set the key and its secret anew, without quotes or blanks, and check region and endpoint.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "bucket-missing",
        title: "The bucket of the object store does not exist",
        texts: &["NoSuchBucket", "The specified bucket does not exist"],
        fix: "Check the name of the bucket, the region and the endpoint in the variables, or create it.",
        confidence: CERTAIN,
        ..BASE
    },
    Pattern {
        id: "google-credentials",
        title: "The app has no credentials for Google's services",
        texts: &[
            "Could not load the default credentials",
            "Your default credentials were not found",
            "Failed to parse private key",
            "Service account object must contain a string",
            "could not find default credentials",
        ],
        fix: "Put the service account's JSON into a variable and read it in the code; in a private key \\n has to become line ends again.",
        confidence: LIKELY,
        ..BASE
    },
];
