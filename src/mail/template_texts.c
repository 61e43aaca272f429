/*
 * template - the words themselves.  A line here that ends without "\n" goes on
 * in the next.
 */

#include "template.h"


/*
 * Where anybody can make the server write to an address, the text holds
 * nothing that they could choose.
 */

const vault_template_t  vault_template_texts[] = {

    { "register-verify", "url",
      "Finish creating your account\n"
      "\n"
      "Somebody, probably you, is creating an account at {{server}} with the "
      "address {{email}}.\n"
      "\n"
      "-> Create the account: {{url}}\n"
      "\n"
      "The link works for a short time only. If it was not you, do nothing: "
      "without the link there will be no account.\n" },

    { "register-exists", "",
      "You already have an account\n"
      "\n"
      "Somebody, probably you, tried to create an account at {{server}} with "
      "the address {{email}}. It has one already, so nothing was changed.\n"
      "\n"
      "-> Log in: {{origin}}\n"
      "\n"
      "If you have forgotten your master password, ask there for your "
      "password hint.\n" },

    { "welcome", "",
      "Welcome to {{server}}\n"
      "\n"
      "Your account {{email}} is ready. Log in with your browser, the "
      "extension, the app or the command line.\n"
      "\n"
      "-> Open your vault: {{origin}}\n"
      "\n"
      "Nobody but you knows your master password, and nobody can restore it: "
      "write it down and keep it in a safe place.\n" },

    { "two-factor-setup", "code account",
      "Your verification code: {{code}}\n"
      "\n"
      "The account {{account}} at {{server}} wants to get the codes of its "
      "two-step login at this address. To agree, type this code there:\n"
      "\n"
      "= {{code}}\n"
      "\n"
      "If it was not you, do nothing, and give the code to nobody.\n" },

    { "verify-email", "url",
      "Verify your email address\n"
      "\n"
      "Please confirm that {{email}} is your address. Messages about your "
      "account at {{server}} go there.\n"
      "\n"
      "-> Verify the address: {{url}}\n"
      "\n"
      "If you have not asked for this message, do nothing.\n" },

    { "password-hint", "hint",
      "Your password hint\n"
      "\n"
      "Somebody, probably you, asked for the master password hint of your "
      "account at {{server}}. It is:\n"
      "\n"
      "{{hint}}\n"
      "\n"
      "-> Log in: {{origin}}\n"
      "\n"
      "If it was not you, do nothing: the hint was sent to you alone.\n" },

    { "password-hint-none", "",
      "Your password hint\n"
      "\n"
      "Somebody, probably you, asked for the master password hint of your "
      "account at {{server}}. You have not set one.\n"
      "\n"
      "Without the master password nobody can open your vault, the operator "
      "of the server included. You can delete the account and create it "
      "anew; everything in it is lost then.\n" },

    { "change-email", "code",
      "Your code to change the email address\n"
      "\n"
      "To make {{email}} the address of your account at {{server}}, type "
      "this code where you asked for it:\n"
      "\n"
      "= {{code}}\n"
      "\n"
      "If it was not you, do nothing, and give the code to nobody.\n" },

    { "change-email-exists", "",
      "This address is in use already\n"
      "\n"
      "Somebody, probably you, wants to make {{email}} the address of another "
      "account at {{server}}. It has an account of its own, so nothing was "
      "changed.\n"
      "\n"
      "If you want that, delete the account {{email}} first; everything in it "
      "is lost then.\n"
      "\n"
      "-> Log in: {{origin}}\n"
      "\n"
      "If it was not you, do nothing.\n" },

    { "email-changed", "new_email time",
      "Your email address was changed\n"
      "\n"
      "Your account at {{server}} now has the address {{new_email}} instead "
      "of {{email}}, since {{time}}. From now on log in with the new one.\n"
      "\n"
      "If it was not you, somebody knows your master password: tell the "
      "operator of the server at once.\n" },

    { "delete-account", "url",
      "Delete your account\n"
      "\n"
      "Somebody, probably you, wants to delete your account {{email}} at "
      "{{server}}, and with it everything that it holds. This cannot be "
      "undone.\n"
      "\n"
      "-> Delete the account: {{url}}\n"
      "\n"
      "If it was not you, do nothing: without the link nothing is deleted.\n"
    },

    { "new-device", "device address time",
      "New login to your account\n"
      "\n"
      "Your account {{email}} at {{server}} was just logged in to from a new "
      "device.\n"
      "\n"
      "Device: {{device}}\n"
      "Address: {{address}}\n"
      "Time: {{time}}\n"
      "\n"
      "If it was not you, change your master password now and end all "
      "sessions in the settings of your account.\n"
      "\n"
      "-> Open your vault: {{origin}}\n" },

    { "new-device-code", "code",
      "Your login code: {{code}}\n"
      "\n"
      "Somebody, probably you, logs in to {{server}} as {{email}} from a "
      "device that was never used before. Type this code there:\n"
      "\n"
      "= {{code}}\n"
      "\n"
      "If it was not you, somebody knows your master password: change it, "
      "and give the code to nobody.\n" },

    { "protected-action", "code",
      "Your verification code: {{code}}\n"
      "\n"
      "You are about to do something at {{server}} that needs a proof that "
      "it is you. Type this code there:\n"
      "\n"
      "= {{code}}\n"
      "\n"
      "If it was not you, give the code to nobody, and end all sessions in "
      "the settings of your account.\n" },

    { "two-factor-code", "code account",
      "Your login code: {{code}}\n"
      "\n"
      "To log in to {{server}} as {{account}}, type this code:\n"
      "\n"
      "= {{code}}\n"
      "\n"
      "If it was not you, somebody knows your master password: change it, "
      "and give the code to nobody.\n" },

    { "two-factor-off", "address time",
      "Two-step login was turned off\n"
      "\n"
      "The recovery code of your account {{email}} at {{server}} was used. "
      "Two-step login is off now: the master password alone opens the "
      "account, until you set it up again.\n"
      "\n"
      "Address: {{address}}\n"
      "Time: {{time}}\n"
      "\n"
      "If it was not you, somebody knows your master password: change it "
      "now.\n"
      "\n"
      "-> Open your vault: {{origin}}\n" },

    { "incomplete-login", "device address time",
      "A login without the second step\n"
      "\n"
      "Somebody logged in to {{server}} as {{email}} with the right master "
      "password, but did not finish the second step.\n"
      "\n"
      "Device: {{device}}\n"
      "Address: {{address}}\n"
      "Time: {{time}}\n"
      "\n"
      "If it was you, all is well. If not, change your master password now.\n"
      "\n"
      "-> Open your vault: {{origin}}\n" },

    { NULL, NULL, NULL }
};


/* Mail programs know little of CSS: one column, plain words, no pictures. */

const char  vault_template_layout[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>{{subject}}</title>\n"
    "<style>\n"
    "body { margin: 0; padding: 24px 16px; background: #eef1f5;\n"
    "  color: #1c2733; font: 16px/1.5 -apple-system, \"Segoe UI\", Roboto,\n"
    "  Helvetica, Arial, sans-serif; }\n"
    ".card { max-width: 520px; margin: 0 auto; padding: 24px;\n"
    "  background: #ffffff; border-radius: 12px; }\n"
    ".server { margin: 0 0 8px; font-size: 14px; font-weight: 600;\n"
    "  color: #1252a3; }\n"
    "h1 { margin: 0 0 16px; font-size: 22px; line-height: 1.3; }\n"
    "p { margin: 0 0 16px; overflow-wrap: anywhere; }\n"
    ".code { font: 700 30px/1.2 ui-monospace, Menlo, Consolas, monospace;\n"
    "  letter-spacing: 4px; }\n"
    ".button { display: inline-block; padding: 12px 20px;\n"
    "  border-radius: 8px; background: #1252a3; color: #ffffff;\n"
    "  font-weight: 600; text-decoration: none; }\n"
    ".link { font-size: 13px; color: #5b6875; }\n"
    ".end { max-width: 520px; margin: 16px auto 0; padding: 0 24px;\n"
    "  font-size: 13px; color: #5b6875; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  body { background: #10161d; color: #e6ebf0; }\n"
    "  .card { background: #1a232d; }\n"
    "  .server { color: #7fb2f5; }\n"
    "  .link, .end { color: #9aa7b4; }\n"
    "}\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<div class=\"card\">\n"
    "<p class=\"server\">{{server}}</p>\n"
    "<h1>{{subject}}</h1>\n"
    "{{body}}"
    "</div>\n"
    "<p class=\"end\">Sent to {{email}} by {{server}}. Answers to this "
    "address are not read.</p>\n"
    "</body>\n"
    "</html>\n";
