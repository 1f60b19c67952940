"""What the hosted pages share: layout, branding, language, page policy, and who is signed in on the browser."""
